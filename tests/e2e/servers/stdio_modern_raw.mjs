// A stdio server of the stateless era written by hand that can behave badly. Usage: stdio_modern_raw.mjs MARK [FLAG_FILE]
// While FLAG_FILE exists it ends before it says a word. Its tools do one thing each: see below.
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

if (process.argv[3] && existsSync(process.argv[3])) process.exit(7);

const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n');
const answer = (id, text) => say({ id, result: { resultType: 'complete', content: [{ type: 'text', text }] } });
const cancelled = [];
const asked = new Map();
let held;

const tools = {
    pid: (id) => answer(id, String(process.pid)),
    exit: () => process.exit(3),
    hold: (id) => { held = id; },
    release: (id) => { answer(held, 'released'); answer(id, 'done'); },
    cancelled: (id) => answer(id, JSON.stringify(cancelled)),
    refuse: (id) => say({ id, error: { code: -32021, message: 'sampling is needed', data: { requiredCapabilities: { sampling: {} } } } }),
    late: (id) => setTimeout(() => tools.refuse(id), 1000),
    gossip: (id) => {
        say({ method: 'notifications/message', params: { level: 'info', data: "another caller's secret" } });
        answer(id, 'said');
    },
    ask: (id) => {
        asked.set('ask-1', (message) => answer(id, message.error?.message ?? 'answered'));
        say({ id: 'ask-1', method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: { type: 'text', text: "another caller's secret" } }], maxTokens: 1 } });
    },
};

createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, params, error, result } = JSON.parse(line);
    if (method === undefined) return asked.get(id)?.({ error, result });
    if (method === 'notifications/cancelled') return cancelled.push(params.requestId);
    if (id === undefined) return undefined;
    if (method === 'server/discover')
        return say({ id, result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' } });
    if (method === 'tools/list')
        return say({ id, result: { resultType: 'complete', ttlMs: 0, cacheScope: 'private', tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } })) } });
    if (method === 'tools/call' && tools[params.name]) return tools[params.name](id);
    return say({ id, error: { code: -32602, message: 'no such tool' } });
}).on('close', () => process.exit(0));
