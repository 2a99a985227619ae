// At most so many at a time, over processes: whoever connects is told when it may go on, and has its turn until it ends.
import { connect, createServer } from 'node:net';

/** {port, close} */
export async function startTurns(atOnce) {
    const waiting = [];
    let free = atOnce;
    const next = () => {
        while (free > 0 && waiting.length > 0) {
            const one = waiting.shift();
            if (one.destroyed) continue;
            free--;
            one.once('close', () => {
                free++;
                next();
            });
            one.write('go');
        }
    };
    const server = createServer((socket) => {
        socket.on('error', () => {}).resume();
        waiting.push(socket);
        next();
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { port: server.address().port, close: () => server.close() };
}

/** Resolves when it is this process's turn. */
export function takeTurn(port) {
    return new Promise((resolve, reject) => {
        const socket = connect(port, '127.0.0.1');
        socket.once('data', () => {
            socket.unref();
            resolve();
        });
        socket.once('error', reject);
    });
}
