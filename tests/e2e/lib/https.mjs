// An https server of a made-up authority, for what Tulle fetches from strangers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** {dir, key, cert, bundle}: a certificate for localhost that signs itself. remove() when done. */
export function makeCertificate() {
    const dir = mkdtempSync(join(tmpdir(), 'tulle-tls-'));
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
    const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '60', '-keyout', key,
        '-out', cert, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']);
    assert.equal(made.status, 0, String(made.stderr));
    return { key: readFileSync(key), cert: readFileSync(cert), bundle: cert, remove: () => rmSync(dir, { recursive: true, force: true }) };
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
