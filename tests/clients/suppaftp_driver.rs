//! Does with suppaftp what it reads: an operation a line, its words divided by tabs.
//!
//! ```text
//! suppaftp_driver ADDRESS USER PASSWORD MODE
//! ```

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use suppaftp::types::FileType;
use suppaftp::{FtpError, FtpStream, Mode};

type Outcome = Result<(), Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    log::set_logger(&Dialogue).map_err(|error| error.to_string())?;
    log::set_max_level(LevelFilter::Trace);
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, user, password, mode] = arguments.as_slice() else {
        return Err("ADDRESS USER PASSWORD MODE".into());
    };
    let mut ftp = open(address.parse()?, mode)?;
    ftp.login(user, password)?;
    ftp.transfer_type(FileType::Binary)?;
    for line in io::read_to_string(io::stdin())?.lines() {
        perform(&mut ftp, &line.split('\t').collect::<Vec<_>>())?;
    }
    Ok(ftp.quit()?)
}

fn open(address: IpAddr, mode: &str) -> Result<FtpStream, Box<dyn Error>> {
    let mut ftp = FtpStream::connect_timeout(SocketAddr::new(address, 21), PATIENCE)?;
    ftp.get_ref().set_read_timeout(Some(PATIENCE))?;
    match mode {
        "pasv" => ftp.set_mode(Mode::Passive),
        "epsv" => ftp.set_mode(Mode::ExtendedPassive),
        // The command follows from the address.
        "port" | "eprt" => ftp = ftp.active_mode(PATIENCE),
        _ => return Err(format!("there is no mode {mode}").into()),
    }
    Ok(ftp)
}

fn perform(ftp: &mut FtpStream, operation: &[&str]) -> Outcome {
    match *operation {
        ["list", path] => show(ftp.list(Some(path))?),
        ["nlist", path] => show(ftp.nlst(Some(path))?),
        ["mlsd", path] => show(ftp.mlsd(Some(path))?),
        ["facts", path] => show([ftp.mlst(Some(path))?]),
        ["size", path] => show([ftp.size(path)?]),
        ["date", path] => show([ftp.mdtm(path)?]),
        ["get", remote, local] => fetch(ftp, remote, File::create(local)?)?,
        ["reget", remote, local] => resume(ftp, remote, local)?,
        ["put", local, remote] => drop(ftp.put_file(remote, &mut File::open(local)?)?),
        ["reput", local, remote, at] => send_from(ftp, local, remote, at.parse()?)?,
        ["append", local, remote] => drop(ftp.append_file(remote, &mut File::open(local)?)?),
        ["rename", old, new] => ftp.rename(old, new)?,
        ["delete", path] => ftp.rm(path)?,
        ["mkdir", path] => ftp.mkdir(path)?,
        ["rmdir", path] => ftp.rmdir(path)?,
        ["cd", ".."] => ftp.cdup()?,
        ["cd", path] => ftp.cwd(path)?,
        _ => return Err(format!("there is no operation {operation:?}").into()),
    }
    Ok(())
}

fn show(lines: impl IntoIterator<Item = impl ToString>) {
    for line in lines {
        println!("{}", line.to_string());
    }
}

fn fetch(ftp: &mut FtpStream, remote: &str, mut file: File) -> Outcome {
    let copy = |data: &mut dyn Read| io::copy(data, &mut file).map_err(FtpError::ConnectionError);
    ftp.retr(remote, copy)?;
    Ok(())
}

fn resume(ftp: &mut FtpStream, remote: &str, local: &str) -> Outcome {
    ftp.resume_transfer(fs::metadata(local)?.len().try_into()?)?;
    fetch(ftp, remote, File::options().append(true).open(local)?)
}

fn send_from(ftp: &mut FtpStream, local: &str, remote: &str, at: usize) -> Outcome {
    let mut file = File::open(local)?;
    file.seek(SeekFrom::Start(at.try_into()?))?;
    ftp.resume_transfer(at)?;
    ftp.put_file(remote, &mut file)?;
    Ok(())
}

/// What suppaftp sends is in its log.
struct Dialogue;

impl Log for Dialogue {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(sent) = record.args().to_string().strip_prefix("CC OUT: ") {
            println!("> {sent}");
        }
    }

    fn flush(&self) {}
}
