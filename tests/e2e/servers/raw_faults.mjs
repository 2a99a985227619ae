// The ways in which raw.mjs misbehaves: each takes the response, the JSON-RPC id and its own arguments.

export function json(res, status, value, headers = {}) {
    const body = JSON.stringify(value);
    res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers });
    res.end(body);
}

/** Starts an event stream with these messages; the caller ends it. */
export function sse(res, messages = []) {
    if (!res.headersSent) res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    for (const message of messages) res.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
    return res;
}

const complete = process.argv.includes('--modern') ? { resultType: 'complete' } : {};
const ok = (id, text = 'fine') => ({ jsonrpc: '2.0', id, result: { ...complete, content: [{ type: 'text', text }] } });
const note = (n) => ({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: `note ${n}` } });

/** Calls `step` every `ms` until it returns false or the peer leaves. */
function every(res, ms, step) {
    const timer = setInterval(() => {
        if (res.destroyed || step() === false) clearInterval(timer);
    }, ms);
    res.on('close', () => clearInterval(timer));
}

function drip(res, id, { ms = 2 }) {
    const bytes = Buffer.from(JSON.stringify(ok(id, 'dripped')));
    let at = 0;
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length });
    every(res, ms, () => {
        res.write(bytes.subarray(at, ++at));
        if (at < bytes.length) return true;
        res.end();
        return false;
    });
}

function huge(res, id, { mb = 1, sse: asStream = false }) {
    const answer = ok(id, 'x'.repeat(mb * 1024 * 1024));
    return asStream ? sse(res, [answer]).end() : json(res, 200, answer);
}

function slowSse(res, id, { ms = 50, events = 3 }) {
    let n = 0;
    sse(res, [note(n)]);
    every(res, ms, () => {
        if (++n < events) return void sse(res, [note(n)]);
        sse(res, [ok(id, `after ${events} events`)]).end();
        return false;
    });
}

function later(res, id, { ms = 1000 }) {
    const timer = setTimeout(() => json(res, 200, ok(id, `after ${ms}`)), ms);
    res.on('close', () => clearTimeout(timer));
}

// Answers and streams that wait for a word of the test.
const held = new Set();
const streams = new Set();

/** Sends every answer that `hold` keeps back. */
export function release() {
    for (const send of held) send();
    held.clear();
}

/** Sends a message on every stream that `stay_open` opened. */
export function push(message) {
    for (const res of streams) sse(res, [message]);
}

function hold(res, id, { kb = 0 }) {
    held.add(() => json(res, 200, ok(id, 'x'.repeat(kb * 1024))));
}

function stayOpen(res, _id, { messages = [] }) {
    sse(res, messages).flushHeaders();
    streams.add(res);
    res.on('close', () => streams.delete(res));
}

/** An answer of one endless string, or an event that never ends: as fast as it is read. */
function endlessAnswer(res, id, { sse: isEvent = false }) {
    const chunk = 'x'.repeat(64 * 1024);
    res.writeHead(200, { 'content-type': isEvent ? 'text/event-stream' : 'application/json' });
    res.write(`${isEvent ? 'data: ' : ''}{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[{"type":"text","text":"`);
    const fill = () => {
        while (!res.destroyed && res.write(chunk));
    };
    res.on('drain', fill);
    fill();
}

function flood(res, id, { events = 5000 }) {
    sse(res);
    for (let n = 0; n < events; n++) sse(res, [note(n)]);
    sse(res, [ok(id, `after ${events}`)]).end();
}

/** Bytes as they are, in place of HTTP. */
function bytes(res, _id, { text }) {
    res.socket.end(text, 'latin1');
}

let toolLists = 0;

/** A tools/list that names other tools each time. */
function newTools(res, id, { count = 300, kb = 0 }) {
    const list = ++toolLists;
    const description = 'x'.repeat(kb * 1024);
    const tools = Array.from({ length: count }, (_, n) => ({ name: `list${list}_tool${n}`, description, inputSchema: { type: 'object' } }));
    json(res, 200, { jsonrpc: '2.0', id, result: { tools } });
}

export const faults = {
    hang: () => {},
    later,
    drip,
    huge,
    slow_sse: slowSse,
    hold,
    stay_open: stayOpen,
    endless_answer: endlessAnswer,
    flood,
    bytes,
    new_tools: newTools,
    reset: (res) => res.socket.resetAndDestroy(),
    cut: (res) => {
        res.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
        res.write('{"jsonrpc":"2.0","id":');
        setTimeout(() => res.destroy(), 20);
    },
    cut_sse: (res) => {
        sse(res, [note(1)]);
        setTimeout(() => res.destroy(), 20);
    },
    end_sse: (res) => sse(res, [note(1)]).end(),
    endless: (res) => {
        let n = 0;
        sse(res);
        every(res, 5, () => void sse(res, [note(n++)]));
    },
    invalid_json: (res) => {
        res.writeHead(200, { 'content-type': 'application/json' });
        res.end('{"jsonrpc":"2.0","id":1,"result":{"content":[}');
    },
    invalid_sse: (res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.end('data: this is not JSON\n\n');
    },
    invalid_utf8: (res, id) => {
        const [head, tail] = JSON.stringify(ok(id, '@@')).split('@@');
        res.writeHead(200, { 'content-type': 'application/json' });
        res.end(Buffer.concat([Buffer.from(head), Buffer.from([0xff, 0xfe]), Buffer.from(tail)]));
    },
    // A result as it is given.
    result: (res, id, { result }) => json(res, 200, { jsonrpc: '2.0', id, result }),
    // Any message as it is given, as JSON or as events; "@ID" stands for the id.
    message: (res, id, { messages, sse: isStream = false }) => {
        const given = messages.map((one) => JSON.parse(JSON.stringify(one).replaceAll('"@ID"', JSON.stringify(id))));
        return isStream ? sse(res, given).end() : json(res, 200, given[0]);
    },
    wrong_id: (res) => json(res, 200, ok('not-your-id')),
    duplicate: (res, id) => sse(res, [ok(id, 'first'), ok(id, 'second')]).end(),
    // An answer within HTTP: {status, body?, headers?, type?}.
    status: (res, _id, { status = 500, body = 'no', headers = {}, type = 'text/plain' }) => {
        res.writeHead(status, { 'content-type': type, ...headers });
        res.end(typeof body === 'string' ? body : JSON.stringify(body));
    },
    redirect: (res, _id, { to }) => res.writeHead(307, { location: to }).end(),
    session_lost: (res, id) => json(res, 404, { jsonrpc: '2.0', id, error: { code: -32001, message: 'Session not found' } }),
    accepted: (res) => res.writeHead(202).end(),
    // The server's own JSON-RPC error, which is no fault of transport: it must reach the client as it is.
    rpc_error: (res, id, { code = -32050, message = 'own error', data = { kept: true } }) =>
        json(res, 200, { jsonrpc: '2.0', id, error: { code, message, data } }),
};
