// The loopback address that the browser comes back to (RFC 8252 section 7.3), and opening the browser.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';

const page = (text) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>tulle-bridge</title><body><p>${text}</p></body></html>`;

/** Listens; {redirectUri, wait(state, ms) -> {code, iss}, close()}. Only the request with the right state counts. */
export async function listenForCallback(port) {
    let expected;
    let settle;
    const answer = (res, status, text) => {
        res.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', connection: 'close',
            'content-security-policy': "default-src 'none'", 'referrer-policy': 'no-referrer' });
        res.end(page(text));
    };
    const server = createServer((req, res) => {
        const url = URL.canParse(req.url, 'http://127.0.0.1') ? new URL(req.url, 'http://127.0.0.1') : undefined; // any page may ask
        if (req.method !== 'GET' || url?.pathname !== '/callback') return answer(res, 404, 'There is nothing here.');
        const { state, code, error, error_description: why, iss } = Object.fromEntries(url.searchParams);
        if (!expected || state !== expected) return answer(res, 400, 'This answer belongs to no sign-in of this program.');
        expected = undefined; // once
        if (code) {
            answer(res, 200, 'Signed in. You can close this window.');
            settle.resolve({ code, iss });
        } else {
            answer(res, 200, 'The sign-in was refused. You can close this window.');
            settle.reject(new Error(`the sign-in was refused: ${why ?? error ?? 'no reason was given'}`));
        }
    });
    const listen = (wanted) => new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(wanted, '127.0.0.1', () => {
            server.off('error', reject);
            resolve();
        });
    });
    await listen(port).catch((error) => {
        if (port === 0 || error.code !== 'EADDRINUSE') throw error;
        return listen(0);
    });
    return {
        port: server.address().port,
        redirectUri: `http://127.0.0.1:${server.address().port}/callback`,
        wait(state, ms) {
            expected = state;
            return new Promise((resolve, reject) => {
                const timer = setTimeout(() => reject(new Error(`nobody signed in within ${ms / 60_000} minutes`)), ms);
                settle = {
                    resolve: (value) => { clearTimeout(timer); resolve(value); },
                    reject: (error) => { clearTimeout(timer); reject(error); },
                };
            });
        },
        close() {
            server.close();
            server.closeIdleConnections();
        },
    };
}

/** Opens the user's browser; says nothing when there is none, because the address is printed as well. */
export function openBrowser(url, platform = process.platform) {
    // No shell, anywhere: the address comes from the server.
    const [command, ...args] = platform === 'win32' ? ['rundll32', 'url.dll,FileProtocolHandler', url.href]
        : platform === 'darwin' ? ['open', url.href] : ['xdg-open', url.href];
    const child = spawn(command, args, { stdio: 'ignore', detached: true });
    child.on('error', () => {});
    child.unref();
}
