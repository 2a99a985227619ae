// The management server through the official clients of both eras, and every session revision.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectV1, connectV2 } from './lib/clients.mjs';
import { rpc } from './lib/http.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, url;
before(async () => {
    tulle = await startTulle();
    org = await tulle.makeOrg('acme');
    url = `${tulle.url}/mcp`;
});
after(() => tulle?.stop());

const clients = {
    'SDK v1': () => connectV1(url, org.key),
    'SDK v2, modern': () => connectV2(url, org.key, { mode: 'modern' }),
    'SDK v2, legacy': () => connectV2(url, org.key, { mode: 'legacy' }),
};
for (const [name, connect] of Object.entries(clients))
    test(`${name} lists and calls management tools`, async () => {
        const connected = await connect();
        const client = connected.client ?? connected;
        assert.ok((await client.listTools()).tools.some((tool) => tool.name === 'CONNECTION_CREATE'));
        const result = await client.callTool({ name: 'ORGANIZATION_GET', arguments: {} });
        assert.equal(result.structuredContent.item.slug, 'acme');
        await client.close();
    });

for (const version of ['2025-03-26', '2025-06-18', '2025-11-25'])
    test(`initialize of ${version} is answered with that revision`, async () => {
        const { status, body } = await rpc(url, 'initialize', { protocolVersion: version, capabilities: {}, clientInfo: { name: 'x', version: '1' } }, org);
        assert.equal(status, 200);
        assert.equal(body.result.protocolVersion, version);
    });
