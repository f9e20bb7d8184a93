// Does with basic-ftp what it reads: an operation a line, its words divided by tabs.
//
//     basic_ftp_driver.js LIBRARY ADDRESS USER PASSWORD MODE

const fs = require("fs");
const [library, host, user, password, mode] = process.argv.slice(2);
const ftp = require(library);

const operations = client => ({
    list: async path => {
        for (const file of await client.list(path)) {
            console.log(file.name, file.size);
        }
    },
    size: async path => console.log(await client.size(path)),
    date: async path => console.log((await client.lastMod(path)).toISOString()),
    get: (remote, local) => client.downloadTo(local, remote),
    put: (local, remote) => client.uploadFrom(local, remote),
    reget: (remote, local) => client.downloadTo(local, remote, fs.statSync(local).size),
    reput: async (local, remote, at) => {
        await client.send(`REST ${at}`);
        await client.uploadFrom(local, remote, { localStart: Number(at) });
    },
    append: (local, remote) => client.appendFrom(local, remote),
    mirror: (remote, local) => client.downloadToDir(local, remote),
    mirror_up: (local, remote) => client.uploadFromDir(local, remote),
    rename: (from, to) => client.rename(from, to),
    delete: path => client.remove(path),
    mkdir: path => client.send(`MKD ${path}`),
    rmdir: path => client.removeEmptyDir(path),
    cd: path => client.cd(path),
});

async function main() {
    const client = new ftp.Client(20000);
    client.ftp.verbose = true;
    try {
        await client.access({ host, user, password });
        client.prepareTransfer =
            mode === "pasv" ? ftp.enterPassiveModeIPv4 : ftp.enterPassiveModeIPv6;
        for (const line of fs.readFileSync(0, "utf8").trimEnd().split("\n")) {
            const [verb, ...args] = line.split("\t");
            await operations(client)[verb](...args);
        }
    } catch (error) {
        console.log(String(error));
        process.exitCode = 1;
    } finally {
        client.close();
    }
}

main();
