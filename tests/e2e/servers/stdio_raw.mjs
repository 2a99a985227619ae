// A stdio server written by hand that can behave badly. Usage: stdio_raw.mjs MARK [MODE]
// MARK is only there to be found in the list of processes. MODE, for what it does by itself:
//   dies       ends before it says a word
//   strict     ends at any request before initialize, as some Rust servers do
//   stubborn   ignores the end of its input and SIGTERM, and has a child that does the same
//   mute       never answers
//   old        an HTTP+SSE era program that answers nothing it does not know
// Its tools do one thing each: see below.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';

const [mark, mode] = process.argv.slice(2);
let isReady = false;
let isDeaf = false;
let nextAsk = 1;
const asked = new Map();

const write = (text) => process.stdout.write(text);
const say = (message) => write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n');
const answer = (id, value) => say({ id, result: { content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] } });
const ask = (method, params) => new Promise((resolve) => {
    const id = nextAsk++;
    asked.set(id, resolve);
    say({ id, method, params });
});

/** A child in a session of its own whose parent is soon gone, deaf to SIGTERM. */
function leaveGrandchild() {
    const script = 'trap "" TERM HUP INT; while :; do sleep 1000; done';
    spawn('sh', ['-c', `setsid sh -c '${script}' ${mark}-grandchild > /dev/null 2>&1 &`], { stdio: 'ignore', detached: true }).unref();
}

const tools = {
    echo: (id, { text }) => answer(id, text),
    pid: (id) => answer(id, String(process.pid)),
    env: (id) => answer(id, { env: process.env, cwd: process.cwd(), fds: readdirSync('/proc/self/fd').length }),
    exit: () => process.exit(3),
    crash: () => process.kill(process.pid, 'SIGSEGV'),
    silent: () => {},
    invalid: (id) => write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{\n`),
    wrong_id: () => answer(987654321, 'for whom?'),
    null_id: () => say({ id: null, error: { code: -32603, message: 'who asked?' } }),
    twice: (id) => { answer(id, 'first'); answer(id, 'second'); },
    noise: (id) => {
        write('Listening on nothing\n\n{"level":"info"}\n[1,2,3]\n');
        answer(id, 'after the noise');
    },
    pieces: async (id) => {
        const line = JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'søster in pieces' }] } }) + '\n';
        for (const byte of Buffer.from(line)) {
            process.stdout.write(Buffer.from([byte]));
            await new Promise(setImmediate);
        }
    },
    huge: (id, { bytes }) => answer(id, 'x'.repeat(bytes)),
    flood: async (id, { lines }) => {
        for (let i = 0; i < lines; i++)
            if (!say({ method: 'notifications/message', params: { level: 'info', data: `line ${i} ${'x'.repeat(200)}` } }))
                await new Promise((resolve) => process.stdout.once('drain', resolve));
        answer(id, 'flooded');
    },
    grandchild: (id) => { leaveGrandchild(); answer(id, 'left'); },
    deaf: (id) => { isDeaf = true; setInterval(() => {}, 1000); process.stdin.pause(); answer(id, 'not listening'); },
    stderr: (id, { lines }) => {
        for (let i = 0; i < lines; i++) console.error(`log ${i} token=${process.env.RAW_SECRET}`);
        answer(id, 'logged');
    },
    sampling: async (id) => answer(id, await ask('sampling/createMessage', { messages: [], maxTokens: 5 })),
    elicit: async (id) => answer(id, await ask('elicitation/create', { message: 'Name?', requestedSchema: { type: 'object', properties: {} } })),
    roots: async (id) => answer(id, await ask('roots/list', {})),
    ping: async (id) => answer(id, await ask('ping', {})),
    change: (id) => { say({ method: 'notifications/tools/list_changed' }); answer(id, 'changed'); },
};

const initialized = (id, params) => say({
    id,
    result: { protocolVersion: params.protocolVersion, capabilities: { tools: { listChanged: true }, logging: {} }, serverInfo: { name: 'stdio-raw', version: '1' } },
});

function handle(message) {
    if (message.method === undefined) return asked.get(message.id)?.(message.error ? { error: message.error.code } : message.result);
    if (mode === 'mute') return undefined;
    if (message.method === 'initialize') isReady = true;
    else if (mode === 'strict' && !isReady && message.id !== undefined) process.exit(1);
    if (message.id === undefined) return undefined;
    const { id, method, params } = message;
    if (method === 'initialize') return initialized(id, params);
    if (method === 'ping') return say({ id, result: {} });
    if (method === 'tools/list') return say({ id, result: { tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } })) } });
    if (method === 'tools/call' && tools[params.name]) return tools[params.name](id, params.arguments ?? {});
    if (mode === 'old') return undefined;
    return say({ id, error: { code: -32601, message: 'Method not found' } });
}

if (mode === 'dies') process.exit(7);
if (mode === 'stubborn') {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
    setInterval(() => {}, 1000);
    leaveGrandchild();
}
let held = '';
process.stdin.setEncoding('utf8').on('data', (text) => {
    held += text;
    for (let at; !isDeaf && (at = held.indexOf('\n')) >= 0;) {
        const line = held.slice(0, at);
        held = held.slice(at + 1);
        handle(JSON.parse(line));
    }
});
process.stdin.on('end', () => mode === 'stubborn' || process.exit(0));
