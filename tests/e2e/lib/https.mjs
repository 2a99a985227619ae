// An https server of a made-up authority, for what Tulle fetches from strangers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';

function openssl(...args) {
    const made = spawnSync('openssl', args);
    assert.equal(made.status, 0, String(made.stderr));
}
const fresh = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '60'];

/** {key, cert, bundle}: a certificate for localhost that signs itself. remove() when done. */
export function makeCertificate() {
    const dir = mkdtempSync(join(tmpdir(), 'tulle-tls-'));
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
    openssl(...fresh, '-keyout', key, '-out', cert, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1');
    return { key: readFileSync(key), cert: readFileSync(cert), bundle: cert, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** An authority: {bundle, issue('DNS:far.test', ...): {key, cert}}. remove() when done. */
export function makeAuthority(name) {
    const dir = mkdtempSync(join(tmpdir(), 'tulle-ca-'));
    const at = (file) => join(dir, file);
    openssl(...fresh, '-keyout', at('ca-key.pem'), '-out', at('ca.pem'), '-subj', `/CN=${name}`);
    const issue = (...names) => {
        openssl(...fresh, '-CA', at('ca.pem'), '-CAkey', at('ca-key.pem'), '-keyout', at('key.pem'), '-out', at('cert.pem'), '-subj', '/CN=issued',
            '-addext', `subjectAltName=${names}`, '-addext', 'basicConstraints=critical,CA:FALSE');
        return { key: readFileSync(at('key.pem')), cert: readFileSync(at('cert.pem')) };
    };
    return { bundle: at('ca.pem'), issue, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** TLS before a server of plain http on this machine: {port, names: those that were asked for, close()}. */
export async function startTls({ key, cert }, plainPort) {
    const names = [];
    const open = new Set();
    const server = createTlsServer({ key, cert }, (secure) => {
        const plain = connect(plainPort, '127.0.0.1');
        names.push(secure.servername);
        for (const [from, to] of [[secure, plain], [plain, secure]]) from.on('error', () => to.destroy()).on('close', () => to.destroy()).pipe(to);
    });
    server.on('connection', (socket) => {
        open.add(socket);
        socket.on('error', () => {}).on('close', () => open.delete(socket));
    });
    server.on('tlsClientError', () => {});
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
        port: server.address().port, names,
        close: () => new Promise((resolve) => { server.close(resolve); for (const socket of open) socket.destroy(); }),
    };
}

/** Answers with handler(req, res); counts requests by path: {url, requests, close()}. */
export async function startHttps({ key, cert }, handler) {
    const requests = [];
    const server = createServer({ key, cert }, (req, res) => {
        requests.push(req.url);
        handler(req, res);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address();
    return {
        port, url: `https://localhost:${port}`, requests,
        count: (path) => requests.filter((one) => one === path).length,
        close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }),
    };
}
