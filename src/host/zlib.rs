//! The zlib format, by a library.

use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus, StreamResult};
use tinyftp::ftp::{Corrupt, Run, Way, Zlib};

/// What compresses one stream at a time, or decompresses one.
pub struct Oxide {
    compressor: CompressorOxide,
    decompressor: InflateState,
    compresses: bool,
}

impl Oxide {
    pub fn new() -> Self {
        Self {
            compressor: CompressorOxide::default(),
            decompressor: InflateState::new(DataFormat::Zlib),
            compresses: false,
        }
    }
}

impl Zlib for Oxide {
    fn begin(&mut self, way: Way) {
        match way {
            Way::Compress(level) => {
                self.compressor.set_format_and_level(DataFormat::Zlib, level);
                self.compressor.reset();
            }
            Way::Decompress => self.decompressor.reset(DataFormat::Zlib),
        }
        self.compresses = way != Way::Decompress;
    }

    fn run(&mut self, input: &[u8], output: &mut [u8], last: bool) -> Result<Run, Corrupt> {
        let flush = if last { MZFlush::Finish } else { MZFlush::None };
        let StreamResult { bytes_consumed: taken, bytes_written: given, status } =
            if self.compresses {
                deflate(&mut self.compressor, input, output, flush)
            } else {
                inflate(&mut self.decompressor, input, output, flush)
            };
        match status {
            Ok(status) => Ok(Run { taken, given, ended: status == MZStatus::StreamEnd }),
            Err(MZError::Buf) => Ok(Run { taken, given, ended: false }),
            Err(_) => Err(Corrupt),
        }
    }
}
