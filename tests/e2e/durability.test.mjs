// kill -9 at any moment: what was answered is there after the next start, and the start works.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startTulle } from './lib/tulle.mjs';
import { guard } from './lib/secrets.mjs';
import { send } from './lib/http.mjs';
import { until } from './lib/children.mjs';

let tulle, org;
before(async () => {
    tulle = await startTulle();
    org = await tulle.makeOrg('acme');
});
after(() => tulle?.end());

/** All items of a list tool. */
async function all(name) {
    const items = [];
    for (let cursor; ;) {
        const page = await tulle.use(name, { limit: 100, ...(cursor && { cursor }) }, org);
        items.push(...page.items);
        if (!(cursor = page.next_cursor)) return items;
    }
}

test('rows that were answered survive kill -9 during writes, three times', async () => {
    const kept = { connections: [], roles: [], keys: [] };
    for (let round = 0; round < 3; round++) {
        let isDown = false;
        const writers = Array.from({ length: 4 }, async (_, w) => {
            for (let i = 0; !isDown && i < 500; i++) {
                const name = `r${round}w${w}n${i}`;
                const kind = ['connections', 'roles', 'keys'][i % 3];
                const answer = await {
                    connections: () => tulle.tool('CONNECTION_CREATE', { name, url: 'http://127.0.0.1:9/mcp', credential: { bearer: name } }, org),
                    roles: () => tulle.tool('ORGANIZATION_ROLE_CREATE', { name, statements: [] }, org),
                    keys: () => tulle.tool('API_KEY_CREATE', { name }, org),
                }[kind]().catch(() => null);
                if (answer?.status !== 200) continue;
                kept[kind].push(answer.body.item.id);
                if (kind === 'keys') kept.lastKey = guard(answer.body.key, name);
            }
        });
        const enough = kept.connections.length + 8;
        await until('some writes', () => kept.connections.length >= enough && kept.lastKey, 30_000);
        await tulle.kill9();
        isDown = true;
        await Promise.all(writers);
        await tulle.serve();
    }
    for (const [kind, tool] of [['connections', 'CONNECTION_LIST'], ['roles', 'ORGANIZATION_ROLE_LIST'], ['keys', 'API_KEY_LIST']]) {
        const present = new Set((await all(tool)).map((item) => item.id));
        assert.deepEqual(kept[kind].filter((id) => !present.has(id)), [], `${kind} that were answered and are gone`);
    }
    assert.equal((await tulle.tool('USER_GET', {}, { key: kept.lastKey })).status, 200, 'a key made just before the end works');
});

test('a half-written object does not exist: each connection has its credential', async () => {
    const items = (await all('CONNECTION_LIST')).filter((item) => /^r\dw/.test(item.name));
    assert.ok(items.length > 0);
    assert.ok(items.every((item) => item.has_credential && item.auth === 'bearer'));
});

test('kill -9 right after the start leaves a data directory that starts', async () => {
    const fresh = await startTulle();
    await fresh.kill9();
    await fresh.serve();
    assert.equal((await send(`${fresh.url}/health/ready`, { method: 'GET' })).status, 200);
    await fresh.end();
});
