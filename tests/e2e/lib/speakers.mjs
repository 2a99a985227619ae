// The three kinds of clients by hand, alike to use: bare requests, a session (2025-11-25), and the stateless 2026-07-28.
import assert from 'node:assert/strict';
import { open, rpc, send } from './http.mjs';

export const VERSION = '2026-07-28';
export const kinds = ['bare', 'session', 'modern'];
const accept = { accept: 'application/json, text/event-stream' };
let nextId = 1;

/** The envelope and the headers of a stateless request. */
export function modernMessage(method, params = {}, { id = nextId++, capabilities = {} } = {}) {
    const name = params.name ?? params.uri ?? params.taskId;
    return {
        headers: { ...accept, 'mcp-protocol-version': VERSION, 'mcp-method': method, ...(name !== undefined && { 'mcp-name': name }) },
        body: {
            jsonrpc: '2.0', id, method, params: {
                ...params,
                _meta: { 'io.modelcontextprotocol/protocolVersion': VERSION, 'io.modelcontextprotocol/clientCapabilities': capabilities, ...params._meta },
            },
        },
    };
}

function messageOf(speaker, method, params, options) {
    if (speaker.kind === 'modern') return modernMessage(method, params, { capabilities: speaker.capabilities, ...options });
    return { headers: { ...accept, ...speaker.session }, body: { jsonrpc: '2.0', id: options.id ?? nextId++, method, params } };
}

/** A client at this address: {kind, ask(method, params), tool(name, args), open(method, params), end()}. */
export async function speak(kind, url, key, { capabilities = {}, version = '2025-11-25' } = {}) {
    const speaker = { kind, url, key, capabilities, session: {} };
    if (kind === 'session') {
        const { status, headers, text } = await rpc(url, 'initialize', { protocolVersion: version, capabilities, clientInfo: { name: 'hand', version: '1' } }, { key });
        assert.equal(status, 200, text);
        speaker.session = { 'mcp-session-id': headers['mcp-session-id'], 'mcp-protocol-version': version };
        assert.ok(speaker.session['mcp-session-id'], text);
        await send(url, { key, headers: { ...accept, ...speaker.session }, body: { jsonrpc: '2.0', method: 'notifications/initialized' } });
    }
    speaker.post = (body, headers = {}) => send(url, { key, body, headers: { ...accept, ...speaker.session, ...headers } });
    speaker.ask = (method, params = {}, { headers = {}, ...options } = {}) => {
        const message = messageOf(speaker, method, params, options);
        return send(url, { key, body: message.body, headers: { ...message.headers, ...headers }, timeout: 60_000 });
    };
    speaker.open = (method, params = {}, options = {}) => {
        const message = messageOf(speaker, method, params, options);
        return open(url, { key, body: message.body, headers: message.headers });
    };
    speaker.tool = (name, args = {}, options = {}) => speaker.ask('tools/call', { name, arguments: args }, options);
    speaker.openTool = (name, args = {}, options = {}) => speaker.open('tools/call', { name, arguments: args }, options);
    speaker.stream = () => open(url, { method: 'GET', key, headers: speaker.session });
    speaker.end = async () => {
        if (kind === 'session') await send(url, { method: 'DELETE', key, headers: speaker.session });
    };
    return speaker;
}
