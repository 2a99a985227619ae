// Speaking to Tulle without an SDK: bare JSON-RPC, plain HTTP, and raw bytes.
import { request } from 'node:http';
import { connect } from 'node:net';

/** All messages of an answer that is one JSON value or an event stream. */
export function messagesOf(type, text) {
    if (!type?.startsWith('text/event-stream')) return text === '' ? [] : [parsed(text)];
    return text.split(/\r?\n\r?\n/)
        .map((event) => event.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trim()).join('\n'))
        .filter((data) => data !== '')
        .map(parsed);
}

/** JSON, or the text itself where it is none. */
function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return { unparsable: text };
    }
}

/** One HTTP request: {status, headers, text, body (parsed JSON or undefined)}. Any header may be set, Host too. */
export function send(url, { method = 'POST', headers = {}, body, key, timeout = 30_000 } = {}) {
    const bytes = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
        const out = request(url, {
            method,
            agent: false,
            headers: {
                ...(key && { authorization: `Bearer ${key}` }),
                ...(bytes !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) }),
                ...headers,
            },
        }, (res) => {
            let text = '';
            res.setEncoding('utf8').on('data', (chunk) => (text += chunk));
            res.on('error', reject);
            res.on('end', () => {
                const messages = messagesOf(res.headers['content-type'], text);
                resolve({ status: res.statusCode, headers: res.headers, text, messages, body: messages.at(-1) });
            });
        });
        out.setTimeout(timeout, () => out.destroy(new Error(`no answer within ${timeout} ms: ${method} ${url}`)));
        out.on('error', reject);
        out.end(bytes);
    });
}

let nextId = 1;

/** A JSON-RPC request without an SDK. `body` is the message that answers it. */
export function rpc(url, method, params, { key, headers = {}, id = nextId++ } = {}) {
    return send(url, { key, headers: { accept: 'application/json, text/event-stream', ...headers }, body: { jsonrpc: '2.0', id, method, params } });
}

/** Bytes as they are, over TCP: everything the server said until it closed (or fell silent for `quiet` ms). */
export function sendRaw(port, bytes, { quiet = 1000 } = {}) {
    return new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1');
        let text = '';
        socket.setTimeout(quiet, () => socket.destroy());
        socket.on('data', (chunk) => (text += chunk.toString('latin1')));
        socket.on('error', () => {});
        socket.on('close', () => resolve(text));
        socket.write(bytes);
    });
}

/**
 * Opens a streamed answer and leaves it open: {status, headers, text(), done, close()}. `done` resolves to true at a clean
 * end, false when it was cut. The promise has leave(), which gives up before there is an answer.
 */
export function open(url, { method = 'POST', headers = {}, body, key } = {}) {
    const bytes = body === undefined ? undefined : JSON.stringify(body);
    let out;
    const opened = new Promise((resolve, reject) => {
        out = request(url, {
            method,
            agent: false,
            headers: {
                accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
                ...(key && { authorization: `Bearer ${key}` }),
                ...(bytes !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) }),
                ...headers,
            },
        }, (res) => {
            let text = '';
            res.setEncoding('utf8').on('data', (chunk) => (text += chunk));
            res.on('error', () => {});
            const done = new Promise((finish) => res.on('close', () => finish(res.complete)));
            resolve({
                status: res.statusCode, headers: res.headers, text: () => text, done, close: () => out.destroy(),
                messages: () => messagesOf(res.headers['content-type'], text),
            });
        });
        out.on('error', reject);
        out.end(bytes);
    });
    return Object.assign(opened, { leave: () => out.destroy() });
}
