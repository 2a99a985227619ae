// A server of HTTP+SSE (MCP 2024-11-05) written by hand that can behave badly. PORT in the environment. Prints "listening PORT".
// GET /sse?mode=M opens the stream. Modes: foreign (an endpoint at another origin), silent (no endpoint), plain (no event stream),
// held (the POST of a request is answered only when its work is done), refusing (POSTs are answered with 500), late (202, but the
// stream closes instead of answering), both (POST /sse is Streamable HTTP's 405, as of a server that knows only this transport).
import { createServer } from 'node:http';

const streams = new Map();
let next = 1;
const seen = { posts: [], open: 0, opened: 0 };

function openStream(req, res, url) {
    const mode = url.searchParams.get('mode') ?? '';
    const id = String(next++);
    if (mode === 'plain') {
        res.writeHead(200, { 'content-type': 'text/html' });
        return res.end('<p>not a stream</p>');
    }
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(': hello\n\n');
    if (mode === 'silent') return undefined;
    const stream = { res, mode, asked: new Map(), nextAsk: 1 };
    streams.set(id, stream);
    seen.open++;
    seen.opened++;
    res.on('close', () => {
        streams.delete(id);
        seen.open--;
    });
    const origin = mode === 'foreign' ? 'http://127.0.0.1:1' : '';
    return res.write(`event: endpoint\ndata: ${origin}/messages?sessionId=${id}\n\n`);
}

function say(stream, message) {
    stream.res.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
}

const ask = (stream, method, params) => new Promise((resolve) => {
    const id = `ask-${stream.nextAsk++}`;
    stream.asked.set(id, resolve);
    say(stream, { id, method, params });
});

const tools = {
    echo: async (_stream, { text }) => text,
    auth: async (_stream, _args, req) => req.headers.authorization ?? 'none',
    sampling: async (stream) => JSON.stringify(await ask(stream, 'sampling/createMessage', { messages: [], maxTokens: 1 })),
    ping: async (stream) => JSON.stringify(await ask(stream, 'ping', {})),
    progress: async (stream, _args, _req, message) => {
        for (let progress = 1; progress <= 3; progress++)
            say(stream, { method: 'notifications/progress', params: { progressToken: message.params._meta.progressToken, progress } });
        return 'done';
    },
    close: async (stream) => {
        stream.res.end();
        return 'never heard';
    },
};

async function work(stream, message, req) {
    const { id, method, params } = message;
    if (method === undefined) return stream.asked.get(id)?.(message.result ?? { error: message.error });
    if (id === undefined) return undefined;
    if (method === 'initialize')
        return say(stream, { id, result: { protocolVersion: '2024-11-05', capabilities: { tools: {} }, serverInfo: { name: 'sse-raw', version: '1' } } });
    if (method === 'ping') return say(stream, { id, result: {} });
    if (method === 'tools/list') return say(stream, { id, result: { tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } })) } });
    if (method === 'tools/call' && tools[params.name])
        return say(stream, { id, result: { content: [{ type: 'text', text: await tools[params.name](stream, params.arguments ?? {}, req, message) }] } });
    return say(stream, { id, error: { code: -32601, message: 'Method not found' } });
}

async function takeMessage(req, res, url) {
    const stream = streams.get(url.searchParams.get('sessionId'));
    let text = '';
    for await (const chunk of req) text += chunk;
    if (!stream) return res.writeHead(404).end();
    const message = JSON.parse(text);
    seen.posts.push({ method: message.method, id: message.id });
    if (stream.mode === 'refusing' && message.method === 'tools/call') return res.writeHead(500).end();
    if (stream.mode === 'late' && message.method === 'tools/call') {
        res.writeHead(202).end();
        return stream.res.end();
    }
    if (stream.mode === 'held' && message.id !== undefined && message.method) await work(stream, message, req);
    res.writeHead(202).end('Accepted');
    if (stream.mode !== 'held' || message.id === undefined || !message.method) await work(stream, message, req);
    return undefined;
}

const listener = createServer((req, res) => {
    const url = new URL(req.url, 'http://localhost');
    if (url.pathname === '/_seen') return res.end(JSON.stringify(seen));
    if (url.pathname === '/sse' && req.method === 'GET') return openStream(req, res, url);
    if (url.pathname === '/messages' && req.method === 'POST') return takeMessage(req, res, url);
    return res.writeHead(url.pathname === '/sse' ? 405 : 404).end();
});
listener.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`listening ${listener.address().port}`));
