// ORGANIZATION_*, API_KEY_*, USER_*: every tool with good input (checked against its outputSchema) and with bad input.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { fit, listTools } from './lib/schema.mjs';
import { rpc } from './lib/http.mjs';
import { guard } from './lib/secrets.mjs';
import { startTulle } from './lib/tulle.mjs';
import { until } from './lib/children.mjs';

let tulle, org, boss;
before(async () => {
    tulle = await startTulle();
    boss = await tulle.makeOrg('boss', '--operator');
    org = await tulle.makeOrg('acme');
});
after(() => tulle?.end());

const use = (name, args = {}, who = org) => tulle.use(name, args, who);
const refuse = (name, args, status, who = org) => tulle.refuse(name, args, who, status);
const fitted = async (name, wanted, who = org) => use(name, await fit(tulle, boss.key, name, wanted), who);

test('tools/list shows each tool with title, schemas and true annotations', async () => {
    const tools = await listTools(tulle, org.key);
    for (const tool of tools.values()) {
        assert.match(tool.name, /^[A-Z][A-Z_]+$/);
        assert.ok(tool.description?.length > 10, `${tool.name} has a description`);
        assert.equal(tool.inputSchema.type, 'object');
        assert.equal(tool.inputSchema.additionalProperties, false, `${tool.name} refuses unknown fields`);
        assert.equal(tool.outputSchema.type, 'object');
        assert.equal(tool.annotations.readOnlyHint, /_(GET|LIST|STATUS|EXPLAIN)$/.test(tool.name) || tool.annotations.readOnlyHint, tool.name);
        if (/_(DELETE|REMOVE)$/.test(tool.name)) assert.equal(tool.annotations.destructiveHint, true, tool.name);
    }
});

test('?toolset narrows the list', async () => {
    const names = [...(await listTools(tulle, org.key, '?toolset=connections')).keys()];
    assert.ok(names.includes('CONNECTION_LIST'));
    assert.ok(!names.some((name) => name.startsWith('ORGANIZATION_')), String(names));
});

test('an organization is read, changed and listed; a key lists its own only', async () => {
    const { item } = await use('ORGANIZATION_GET');
    assert.equal(item.id, org.org_id);
    assert.equal(item.slug, 'acme');
    assert.equal(item.role, 'owner');
    assert.match(item.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const changed = await use('ORGANIZATION_UPDATE', { name: 'Acme & Søns', description: 'rockets' });
    assert.equal(changed.item.name, 'Acme & Søns');
    const list = await use('ORGANIZATION_LIST');
    assert.deepEqual(list.items.map((i) => [i.id, i.name]), [[org.org_id, 'Acme & Søns']]);
    assert.equal(list.total_count, 1);
    await refuse('ORGANIZATION_GET', { organization_id: boss.org_id }, 404);
    await refuse('ORGANIZATION_UPDATE', { name: '' }, 400);
});

test('operators create organizations, others do not; deletion wants the slug', async () => {
    const { item } = await use('ORGANIZATION_CREATE', { name: 'Brand New', slug: 'brand-new' }, boss);
    assert.match(item.id, /^org_[0-9a-f]{32}$/);
    const derived = await use('ORGANIZATION_CREATE', { name: 'Übung & Co' }, boss);
    assert.match(derived.item.slug, /^[a-z0-9-]{2,50}$/);
    await refuse('ORGANIZATION_CREATE', { name: 'Twice', slug: 'brand-new' }, 409, boss);
    await refuse('ORGANIZATION_CREATE', { name: 'Reserved', slug: 'oauth' }, [400, 422], boss);
    await refuse('ORGANIZATION_CREATE', { name: 'Dashes', slug: 'a--b' }, [400, 422], boss);
    const notOperator = await tulle.tool('ORGANIZATION_CREATE', { name: 'Sneaky' }, org);
    assert.ok([403, 404].includes(notOperator.status), notOperator.text);

    const key = await tulle.makeKey('brand-new', boss.email);
    await refuse('ORGANIZATION_DELETE', { confirm: 'wrong' }, [400, 422], { key });
    const gone = await use('ORGANIZATION_DELETE', { confirm: 'brand-new' }, { key });
    assert.deepEqual(gone, { deleted: true, id: item.id });
    await until('the key of a deleted organization stops working', async () => (await tulle.tool('ORGANIZATION_GET', {}, { key })).status === 401, 5000);
});

test('[233] members are added, given other roles and removed; an owner stays', async () => {
    const user_id = await tulle.makeUser('joe@example.test');
    const added = await use('ORGANIZATION_MEMBER_ADD', { email: 'joe@example.test', role: 'member' });
    assert.equal(added.item.user_id, user_id);
    assert.deepEqual([added.item.roles].flat(), ['member']);
    await refuse('ORGANIZATION_MEMBER_ADD', { user_id, role: 'member' }, 409);
    await refuse('ORGANIZATION_MEMBER_ADD', { email: 'joe@example.test', role: 'emperor' }, [400, 404, 422]);
    await refuse('ORGANIZATION_MEMBER_ADD', { email: 'unknown@example.test', role: 'member' }, [404, 422]);
    const listed = await use('ORGANIZATION_MEMBER_LIST');
    assert.equal(listed.total_count, 2);
    const role = await fitted('ORGANIZATION_MEMBER_UPDATE_ROLE', { user_id, 'role|roles': 'admin' }).catch(
        () => fitted('ORGANIZATION_MEMBER_UPDATE_ROLE', { user_id, roles: ['admin'] }));
    assert.deepEqual([role.item.roles].flat(), ['admin']);
    await refuse('ORGANIZATION_MEMBER_REMOVE', { user_id: org.user_id }, [409, 422]);
    await use('ORGANIZATION_MEMBER_REMOVE', { user_id });
    await refuse('ORGANIZATION_MEMBER_REMOVE', { user_id }, 404);
});

test('[233] a plain member sees little and manages nothing', async () => {
    await tulle.makeUser('plain@example.test');
    await use('ORGANIZATION_MEMBER_ADD', { email: 'plain@example.test', role: 'member' });
    const plain = { key: await tulle.makeKey('acme', 'plain@example.test') };
    const names = [...(await listTools(tulle, plain.key)).keys()];
    for (const name of ['CONNECTION_CREATE', 'ORGANIZATION_DELETE', 'ORGANIZATION_MEMBER_ADD', 'ORGANIZATION_ROLE_CREATE', 'ORGANIZATION_AUDIT_LIST']) {
        assert.ok(!names.includes(name), `${name} is not listed`);
        const { body } = await rpc(`${tulle.url}/mcp`, 'tools/call', { name, arguments: {} }, plain);
        assert.equal(body.error?.code, -32602, JSON.stringify(body));
    }
    for (const name of ['ORGANIZATION_GET', 'CONNECTION_LIST', 'API_KEY_CREATE', 'USER_GET']) assert.ok(names.includes(name), `${name} is listed`);
});

test('roles are made, changed, listed and deleted; bad statements are refused by path', async () => {
    const statements = [{ on: '*', tools: ['echo', 'get_*'], resources: ['fixture://static/*'], prompts: ['*'], effect: 'allow' }];
    const { item } = await use('ORGANIZATION_ROLE_CREATE', { name: 'reader', description: 'reads', statements });
    assert.match(item.id, /^role_/);
    assert.deepEqual(item.statements, statements);
    await refuse('ORGANIZATION_ROLE_CREATE', { name: 'reader', statements }, 409);
    const bad = await refuse('ORGANIZATION_ROLE_CREATE', { name: 'bad', statements: [{ on: 'moon', tools: ['*'], effect: 'allow' }] }, [400, 422]);
    assert.match(bad.message, /statements/);
    const wrongEffect = await refuse('ORGANIZATION_ROLE_CREATE', { name: 'bad', statements: [{ on: '*', tools: ['*'], effect: 'maybe' }] }, [400, 422]);
    assert.match(wrongEffect.message, /effect/);
    const changed = await fitted('ORGANIZATION_ROLE_UPDATE', { 'role_id|id': item.id, name: 'viewer' });
    assert.equal(changed.item.name, 'viewer');
    const listed = await use('ORGANIZATION_ROLE_LIST');
    assert.ok(listed.items.some((role) => role.id === item.id));
    assert.deepEqual(await fitted('ORGANIZATION_ROLE_DELETE', { 'role_id|id': item.id }), { deleted: true, id: item.id });
});

test('[245] keys are made once visible, narrowed, rotated and deleted', async () => {
    const made = await use('API_KEY_CREATE', { name: 'robot', scopes: ['mcp'], expires_in_days: 7 });
    guard(made.key, 'robot key');
    assert.match(made.key, /^tulle_key_/);
    assert.equal(made.item.name, 'robot');
    const id = { 'key_id|api_key_id|id': made.item.id };
    const listed = await use('API_KEY_LIST');
    assert.ok(listed.items.some((key) => key.id === made.item.id));
    assert.ok(!JSON.stringify(listed).includes(made.key), 'a list never shows a key');
    assert.equal((await fitted('API_KEY_UPDATE', { ...id, name: 'renamed' })).item.name, 'renamed');
    const rotated = await fitted('API_KEY_ROTATE', id);
    guard(rotated.key, 'rotated key');
    assert.notEqual(rotated.key, made.key);
    const status = async (key) => (await rpc(`${tulle.url}/mcp`, 'tools/list', {}, { key })).status;
    assert.equal(await status(rotated.key), 200);
    await until('the old key stops', async () => await status(made.key) === 401, 5000);
    assert.deepEqual(await fitted('API_KEY_DELETE', id), { deleted: true, id: made.item.id });
    await until('the deleted key stops', async () => await status(rotated.key) === 401, 5000);
    await refuse('API_KEY_CREATE', { name: 'x', scopes: ['mcp:everything'] }, [400, 422]);
    await refuse('API_KEY_CREATE', { name: 'x', expires_in_days: 0 }, [400, 422]);
});

test('a person reads and renames themselves', async () => {
    assert.equal((await fitted('USER_GET', { user_id: org.user_id })).item.email, org.email);
    assert.equal((await use('USER_UPDATE', { name: 'Renamed Owner' })).item.name, 'Renamed Owner');
    await refuse('USER_UPDATE', { name: 'x'.repeat(1000) }, 400);
});

test('lists page by cursor', async () => {
    for (let i = 0; i < 5; i++) await use('ORGANIZATION_ROLE_CREATE', { name: `page-${i}`, statements: [] });
    const seen = [];
    let cursor;
    do {
        const page = await use('ORGANIZATION_ROLE_LIST', { limit: 2, ...(cursor && { cursor }) });
        assert.ok(page.items.length <= 2);
        assert.ok(page.total_count >= 5);
        seen.push(...page.items.map((role) => role.id));
        cursor = page.next_cursor;
    } while (cursor);
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.length >= 5);
    await refuse('ORGANIZATION_ROLE_LIST', { limit: 500 }, 400);
    await refuse('ORGANIZATION_ROLE_LIST', { cursor: 'nonsense' }, [400, 422]);
});

test('the audit names who did what', async () => {
    const rows = await until('audit rows', async () => {
        const { items } = await use('ORGANIZATION_AUDIT_LIST', { limit: 100 });
        return items.some((row) => JSON.stringify(row).includes('ORGANIZATION_ROLE_CREATE')) && items;
    });
    assert.ok(rows.every((row) => /^\d{4}-.*Z$/.test(row.at)));
    assert.ok(rows.some((row) => row.user_id === org.user_id));
});
