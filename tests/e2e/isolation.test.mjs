// Tenants: every tool and every route tried with another organization's key. A foreign id answers exactly as an unknown one does.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { fit, listTools } from './lib/schema.mjs';
import { startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { rpc, send } from './lib/http.mjs';
import { until } from './lib/children.mjs';
import { required } from './lib/wrong_input.mjs';

const MARK = 'belongs-to-victim';
let tulle, victim, attacker, tools, ids, session;
before(async () => {
    const [program, server] = await Promise.all([startTulle(), startV1()]);
    tulle = program;
    victim = await tulle.makeOrg('victim');
    attacker = await tulle.makeOrg('attacker', '--operator');
    const use = (name, args) => tulle.use(name, args, victim);
    const connection = await tulle.connect(victim, { name: MARK, slug: 'victim-server', url: server.url, credential: { bearer: plant('victim') } });
    const role = await use('ORGANIZATION_ROLE_CREATE', { name: MARK, statements: [] });
    const key = await use('API_KEY_CREATE', { name: MARK });
    guard(key.key, 'victim key');
    const { headers } = await rpc(connection.mcp, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'v', version: '1' } }, victim);
    session = headers['mcp-session-id'];
    await tulle.callTool(connection, 'echo', { text: MARK }, victim);
    const call = await until('a recorded call', async () => (await use('CONNECTION_CALLS_LIST', { connection_id: connection.id })).items[0]);
    // The attacker has a connection and a role of their own, so that only the victim's id is wrong in each attempt.
    attacker.connection = await tulle.connect(attacker, { name: 'own', url: server.url });
    attacker.spare = await tulle.makeUser('spare@attacker.example');
    ids = {
        conn: connection.id, role: role.item.id, key: key.item.id, evt: call.id, org: victim.org_id, usr: victim.user_id,
    };
    tools = await listTools(tulle, attacker.key);
});
after(() => tulle?.end());

const unknownOf = (id) => id.replace(/[0-9a-f]{32}$/, 'f00dfeedf00dfeedf00dfeedf00dfeed');
/** An answer without what may differ: the ids asked about, and the request id. */
function shape({ status, text, headers }, id) {
    const plain = (value) => value?.replaceAll(id, 'ID').replaceAll(/"request_id":"[^"]*"/g, '"request_id":"R"');
    return { status, text: plain(text), type: headers['content-type'], authenticate: plain(headers['www-authenticate']) };
}

/** Which of the victim's ids fits a field of this name. */
function victimIds(field) {
    const prefixes = { connection: 'conn', role: 'role', key: 'key', api_key: 'key', call: 'evt', event: 'evt', organization: 'org', user: 'usr' };
    const match = /^(.*)_ids?$/.exec(field);
    if (field === 'id' || field === 'role') return Object.values(ids);
    return match && prefixes[match[1]] ? [ids[prefixes[match[1]]]] : [];
}

test('every tool answers another organization\'s id as it answers an unknown one', async () => {
    let attempts = 0;
    for (const [name, { inputSchema }] of tools)
        for (const [field, schema] of Object.entries(inputSchema.properties ?? {}))
            for (const id of victimIds(field)) {
                const own = required(inputSchema);
                if (own.connection_id) own.connection_id = attacker.connection.id;
                if ('user_id' in inputSchema.properties && /MEMBER/.test(name)) own.user_id = attacker.spare;
                if (own.role) own.role = 'member';
                if ('confirm' in inputSchema.properties) own.confirm = 'victim';
                const attempt = async (value) => shape(await tulle.tool(name, { ...own, [field]: [schema.type].flat().includes('array') ? [value] : value }, attacker), value);
                const foreign = await attempt(id);
                // The audit also shows the attacker's own attempts, which named the victim's id.
                if (name !== 'ORGANIZATION_AUDIT_LIST') assert.deepEqual(foreign, await attempt(unknownOf(id)), `${name} ${field}=${id}`);
                assert.ok(!foreign.text.includes(MARK) && !foreign.text.includes('victim.example'), `${name} tells: ${foreign.text}`);
                if (foreign.status === 200 && !/_LIST$|_EXPLAIN$/.test(name))
                    assert.ok(!foreign.text.includes(id), `${name} accepted ${field}=${id}: ${foreign.text}`);
                attempts++;
            }
    assert.ok(attempts > 30, `${attempts} attempts`);
});

test('nothing of the victim changed or became visible', async () => {
    const { item } = await tulle.use('CONNECTION_GET', { connection_id: ids.conn }, victim);
    assert.deepEqual([item.name, item.enabled, item.has_credential], [MARK, true, true]);
    assert.equal((await tulle.use('ORGANIZATION_MEMBER_LIST', {}, victim)).total_count, 1);
    assert.equal((await tulle.use('ORGANIZATION_GET', {}, victim)).item.slug, 'victim');
    for (const name of [...tools.keys()].filter((one) => /_LIST$/.test(one))) {
        const args = required(tools.get(name).inputSchema);
        if (args.connection_id) args.connection_id = attacker.connection.id;
        const { text } = await tulle.tool(name, args, attacker);
        // The attacker's own audit repeats the ids that the attacker sent; what they stand for must not be there.
        const told = /_AUDIT_LIST$/.test(name) ? [MARK] : [MARK, ids.conn, victim.org_id];
        for (const word of told) assert.ok(!text.includes(word), `${name}: ${text}`);
    }
});

test('a connection\'s address answers a foreign key as an unknown address does', async () => {
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const unknown = unknownOf(ids.conn);
    for (const method of ['POST', 'GET', 'DELETE']) {
        const ask = async (id) => shape(await send(`${tulle.url}/mcp/${id}`, {
            method, key: attacker.key, ...(method === 'POST' && { body }), headers: { accept: 'application/json, text/event-stream', 'mcp-session-id': session },
        }), id);
        const foreign = await ask(ids.conn);
        assert.equal(foreign.status, 404, method);
        assert.deepEqual(foreign, await ask(unknown), method);
    }
    const slug = async (orgSlug, connectionSlug) => {
        const answer = await send(`${tulle.url}/mcp/${orgSlug}/${connectionSlug}`, { key: attacker.key, body });
        return shape({ ...answer, text: answer.text.replaceAll(connectionSlug, 'CONNECTION').replaceAll(orgSlug, 'ORG') }, 'none_');
    };
    assert.equal((await slug('victim', 'victim-server')).status, 404);
    assert.deepEqual(await slug('victim', 'victim-server'), await slug('victim', 'no-such-one'));
    assert.deepEqual(await slug('victim', 'victim-server'), await slug('nobody', 'victim-server'));
});

test('without a token existing and unknown addresses are told apart nowhere', async () => {
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const paths = [(id) => `/mcp/${id}`, (id) => `/.well-known/oauth-protected-resource/mcp/${id}`, (id) => `/api/connections/${id}/tools`];
    for (const path of paths)
        for (const method of ['GET', 'POST', 'DELETE']) {
            const ask = async (id) => shape(await send(tulle.url + path(id), { method, ...(method === 'POST' && { body }) }), id);
            assert.deepEqual(await ask(ids.conn), await ask(unknownOf(ids.conn)), `${method} ${path('ID')}`);
        }
});

test('a downstream tool over plain HTTP answers a foreign connection as an unknown one', async () => {
    for (const [method, path] of [['POST', (id) => `/api/connections/${id}/tools/echo`], ['GET', (id) => `/api/connections/${id}/tools`],
        ['GET', (id) => `/api/connections/${id}/resources`], ['GET', (id) => `/api/connections/${id}/prompts`]]) {
        const ask = async (id) => shape(await send(tulle.url + path(id), { method, key: attacker.key, ...(method === 'POST' && { body: {} }) }), id);
        assert.deepEqual(await ask(ids.conn), await ask(unknownOf(ids.conn)), `${method} ${path('ID')}`);
        assert.notEqual((await ask(ids.conn)).status, 200);
    }
});

test('the victim\'s session is of no use at the attacker\'s connection', async () => {
    const { status, body } = await rpc(attacker.connection.mcp, 'tools/list', {}, { key: attacker.key, headers: { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' } });
    assert.deepEqual([status, body.error.code], [404, -32001]);
});

test('being an operator gives no rights inside an organization', async () => {
    for (const name of ['ORGANIZATION_GET', 'CONNECTION_LIST', 'ORGANIZATION_MEMBER_LIST', 'ORGANIZATION_AUDIT_LIST', 'API_KEY_LIST'])
        await tulle.refuse(name, await fit(tulle, attacker.key, name, { organization_id: victim.org_id }), attacker, 404);
});

test('deleting an organization removes everything of it and ends its keys', async () => {
    await tulle.use('ORGANIZATION_DELETE', { confirm: 'victim' }, victim);
    await until('its key stops', async () => (await rpc(`${tulle.url}/mcp/${ids.conn}`, 'tools/list', {}, victim)).status === 401, 5000);
    const { code, stderr } = await tulle.cli(['key', 'create', '--org', 'victim', '--user', victim.email, '--name', 'x']);
    assert.notEqual(code, 0, stderr);
});
