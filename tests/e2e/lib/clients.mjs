// The official SDK clients, connected with an API key.
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';

const requestInit = (key, headers = {}) => ({ headers: { ...(key && { authorization: `Bearer ${key}` }), ...headers } });
const info = { name: 'tulle-e2e', version: '1.0.0' };

/** SDK v1: a session client. client.transport is the transport (sessionId, terminateSession). */
export async function connectV1(url, key, { headers } = {}) {
    const client = new ClientV1(info, { capabilities: {} });
    await client.connect(new TransportV1(new URL(url), { requestInit: requestInit(key, headers) }));
    return client;
}

/** SDK v2. mode: 'modern' (2026-07-28 and nothing else), 'legacy' (sessions) or 'auto' (probes). */
export async function connectV2(url, key, { mode = 'modern', headers } = {}) {
    const client = new ClientV2(info, {
        capabilities: {},
        versionNegotiation: { mode: mode === 'modern' ? { pin: '2026-07-28' } : mode },
    });
    await client.connect(new TransportV2(new URL(url), { requestInit: requestInit(key, headers) }));
    return client;
}

/** The text of a tool result's first block. */
export const textOf = (result) => result.content[0].text;
