// A DNS server for one kind of question: TXT records of names that tests set. It can be silent, refuse, truncate (then TCP
// answers), and say nonsense.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const labels = (name) => Buffer.concat([...name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])), Buffer.from([0])]);

/** The question's name and where the question ends. */
function questionOf(message) {
    const name = [];
    let at = 12;
    while (message[at]) {
        name.push(message.toString('latin1', at + 1, at + 1 + message[at]));
        at += message[at] + 1;
    }
    return { name: name.join('.').toLowerCase(), end: at + 5 };
}

function txt(name, strings) {
    const data = Buffer.concat(strings.map((one) => Buffer.concat([Buffer.from([one.length]), Buffer.from(one)])));
    const head = Buffer.alloc(10);
    head.writeUInt16BE(16, 0);
    head.writeUInt16BE(1, 2);
    head.writeUInt32BE(60, 4);
    head.writeUInt16BE(data.length, 8);
    return Buffer.concat([labels(name), head, data]);
}

export class Dns {
    constructor() {
        this.records = new Map(); // name -> records, each text or a list of strings
        this.asked = [];
        this.mode = ''; // silent, refuse, truncate, nonsense
        this.broken = new Set(); // names whose own servers fail (SERVFAIL)
    }

    async start() {
        this.tcp = createServer((socket) => {
            socket.on('error', () => {});
            socket.once('data', (data) => {
                const answer = this.answer(data.subarray(2), 'tcp');
                const length = Buffer.alloc(2);
                length.writeUInt16BE(answer.length);
                socket.end(Buffer.concat([length, answer]));
            });
        });
        await new Promise((resolve) => this.tcp.listen(0, '127.0.0.1', resolve));
        this.port = this.tcp.address().port;
        this.udp = createSocket('udp4');
        await new Promise((resolve) => this.udp.bind(this.port, '127.0.0.1', resolve));
        this.udp.on('message', (message, { address, port }) => {
            const answer = this.mode === 'silent' ? undefined : this.answer(message, 'udp');
            if (answer) this.udp.send(answer, port, address);
        });
        this.address = `127.0.0.1:${this.port}`;
        return this;
    }

    set(name, ...records) {
        this.records.set(name, records);
    }

    answer(message, way) {
        const { name, end } = questionOf(message);
        this.asked.push({ name, way });
        if (this.mode === 'nonsense') return Buffer.concat([message.subarray(0, 2), Buffer.from([0x81, 0x80, 0, 1, 0, 200, 0, 0, 0, 0]), message.subarray(12, end), Buffer.alloc(40, 0xc0)]);
        const found = this.records.get(name);
        const isBroken = this.broken.has(name);
        const isCut = this.mode === 'truncate' && way === 'udp';
        const answers = isCut || this.mode === 'refuse' || isBroken || !found ? [] : found.map((one) => txt(name, [one].flat()));
        const head = Buffer.from(message.subarray(0, 12));
        const code = this.mode === 'refuse' ? 5 : isBroken ? 2 : found ? 0 : 3;
        head.writeUInt16BE(0x8180 | (isCut ? 0x200 : 0) | (isCut ? 0 : code), 2);
        head.writeUInt16BE(1, 4);
        head.writeUInt16BE(answers.length, 6);
        head.writeUInt32BE(0, 8);
        return Buffer.concat([head, message.subarray(12, end), ...answers]);
    }

    end() {
        this.udp.close();
        return new Promise((resolve) => this.tcp.close(resolve));
    }
}
