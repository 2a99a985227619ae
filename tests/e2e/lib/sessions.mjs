// Sessions on the wire, without an SDK.
import { open, rpc, send } from './http.mjs';

const accept = 'application/json, text/event-stream';

/** Initializes a session: {result, headers, id, call(method, params), post(body), get(headers), end()}. */
export async function openSession(url, key, { version = '2025-11-25', capabilities = {}, headers = {} } = {}) {
    const first = await rpc(url, 'initialize', { protocolVersion: version, capabilities, clientInfo: { name: 'wire', version: '1' } }, { key, headers });
    if (first.status !== 200 || !first.body.result) throw new Error(`initialize: ${first.status} ${first.text}`);
    const id = first.headers['mcp-session-id'];
    const own = { ...headers, ...(id && { 'mcp-session-id': id }), ...(version >= '2025-06-18' && { 'mcp-protocol-version': version }) };
    const session = {
        result: first.body.result,
        headers: own,
        id,
        call: (method, params, more = {}) => rpc(url, method, params, { key, headers: { ...own, ...more } }),
        post: (body, more = {}) => send(url, { key, headers: { accept, ...own, ...more }, body }),
        open: (body, more = {}) => open(url, { key, headers: { accept, ...own, ...more }, body }),
        get: (more = {}) => open(url, { method: 'GET', key, headers: { ...own, ...more } }),
        end: () => send(url, { method: 'DELETE', key, headers: own }),
    };
    await session.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return session;
}

/** The events of a stream so far: {id, data}. */
export function eventsOf(text) {
    return text.split('\n\n').filter((block) => /^(id|data|event):/m.test(block)).map((block) => ({
        id: /^id: ?(.*)$/m.exec(block)?.[1],
        event: /^event: ?(.*)$/m.exec(block)?.[1],
        data: block.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trim()).join('\n'),
    }));
}
