// An outgoing proxy of the CONNECT kind. Every address it is asked for is this machine: what stands there is up to the port.
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';

class ConnectProxy {
    constructor(tls) {
        this.mode = ''; // a status; drop: ends without an answer; hang: says nothing; cut, deaf: the same once the tunnel stands
        this.asked = []; // {target, headers} of each CONNECT
        this.other = []; // requests that were no CONNECT
        this.bytes = ''; // all that came through tunnels from Tulle
        this.open = new Set();
        this.server = tls ? createTlsServer(tls) : createServer();
        this.server.on('request', (req, res) => {
            this.other.push(`${req.method} ${req.url}`);
            res.writeHead(400).end();
        });
        this.server.on('connect', (req, socket, head) => this.tunnel(req, socket, head));
        this.server.on(tls ? 'secureConnection' : 'connection', (socket) => {
            this.open.add(socket);
            socket.on('error', () => {}).on('close', () => this.open.delete(socket));
        });
        this.server.on('tlsClientError', () => {});
    }

    async start() {
        await new Promise((resolve) => this.server.listen(this.port ?? 0, '127.0.0.1', resolve));
        this.port = this.server.address().port;
        return this;
    }

    tunnel(req, socket, head) {
        this.asked.push({ target: req.url, headers: req.headers });
        socket.on('end', () => socket.end()).resume();
        if (typeof this.mode === 'number') return socket.end(`HTTP/1.1 ${this.mode} No\r\nContent-Length: 5\r\nProxy-Authenticate: Basic realm="p"\r\n\r\nno no`);
        if (this.mode === 'drop') return socket.destroy();
        if (this.mode === 'hang') return undefined;
        socket.write('HTTP/1.1 200 Connected\r\nX-Proxy: one\r\n\r\n');
        if (this.mode === 'cut') return socket.end();
        socket.on('data', (chunk) => (this.bytes += chunk.toString('latin1')));
        if (this.mode === 'deaf') return undefined;
        const far = connect(Number(/\d+$/.exec(req.url)[0]), '127.0.0.1');
        far.write(head);
        for (const [from, to] of [[socket, far], [far, socket]]) from.on('error', () => to.destroy()).on('close', () => to.destroy()).pipe(to);
        return undefined;
    }

    /** What was asked for since the last look. */
    take() {
        return this.asked.splice(0).map(({ target }) => target);
    }

    /** Another certificate from now on, where there is TLS. */
    setCertificate(tls) {
        this.server.setSecureContext(tls);
    }

    hangUp() {
        for (const socket of this.open) socket.destroy();
    }

    end() {
        this.hangUp();
        return new Promise((resolve) => this.server.close(resolve));
    }
}

/** tls: {key, cert} of a proxy that is spoken to over TLS. */
export const startConnectProxy = (tls) => new ConnectProxy(tls).start();
