// Tenants: every tool and every route tried as another organization's owner, with an API key, with OAuth tokens and with a
// session. A foreign id answers exactly as an unknown one does. Numbers in brackets: the rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { allTools, fit } from './lib/schema.mjs';
import { startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { rpc, send } from './lib/http.mjs';
import { makeClient, makeOwner, obtainTokens, signedIn } from './lib/oauth.mjs';
import { until } from './lib/children.mjs';
import { required } from './lib/wrong_input.mjs';

const MARK = 'belongs-to-victim';
let tulle, victim, attacker, tools, ids, session, page;
before(async () => {
    const [program, server] = await Promise.all([startTulle(), startV1()]);
    tulle = program;
    victim = await makeOwner(tulle, 'victim');
    attacker = await makeOwner(tulle, 'attacker', '--operator');
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
    const issuer = `http://localhost:${tulle.port}`;
    const grant = async (who, resource, client_name) => {
        const client = await makeClient(tulle, { client_name });
        const browser = await signedIn(tulle, who);
        return { client, browser, ...await obtainTokens(tulle, browser, client, { resource, ...(resource.endsWith('/mcp') && { scope: 'mcp:manage' }) }) };
    };
    const theirs = await grant(victim, connection.mcp, MARK);
    const invitation = await use('ORGANIZATION_INVITATION_CREATE', { email: 'guest@victim.example', role: 'member' });
    guard(invitation.url.split('/').at(-1), 'invitation');
    tools = await allTools(tulle, attacker.key);
    const virtual = tools.has('VIRTUAL_SERVER_CREATE') && await use('VIRTUAL_SERVER_CREATE', { name: MARK, connections: [{ connection_id: connection.id }] });
    const account = await use('SERVICE_ACCOUNT_CREATE', { name: MARK });
    const trusted = await use('ORGANIZATION_ISSUER_CREATE', { name: MARK, issuer: 'https://login.victim.example', subject: { by: 'email' } });
    const group = await use('ORGANIZATION_GROUP_CREATE', { name: MARK });
    const directory = await use('ORGANIZATION_SCIM_TOKEN_CREATE', { name: MARK });
    guard(directory.token, 'SCIM token');
    const provider = await use('ORGANIZATION_SSO_CREATE', { type: 'github', name: MARK, client_id: 'c', client_secret: plant('victim provider') });
    const dryRun = await use('ORGANIZATION_SSO_TEST', { provider_id: provider.item.id });
    ids = {
        idp: provider.item.id, sst: dryRun.item.id, grp: group.item.id, scim: directory.item.id,
        conn: connection.id, role: role.item.id, key: key.item.id, evt: call.id, org: victim.org_id, usr: victim.user_id, cli: theirs.client.client_id,
        gnt: (await use('OAUTH_GRANT_LIST', {})).items[0].id, inv: invitation.item.id,
        iss: trusted.item.id, ses: (await use('SESSION_LIST', {})).items[0].id, sa: account.item.id, ...(virtual && { vs: virtual.item.id }),
    };
    const managing = await grant(attacker, `${issuer}/mcp`, 'Manager');
    attacker.manages = { key: managing.access_token };
    attacker.uses = { key: (await grant(attacker, attacker.connection.mcp, 'User')).access_token };
    page = managing.browser;
});
after(() => tulle?.end());

const unknownOf = (id) => id.replace(/[0-9a-f]{32}$/, 'f00dfeedf00dfeedf00dfeedf00dfeed');
/** An answer without what may differ: the ids asked about, and the request id. */
function shape({ status, text, headers }, id) {
    const plain = (value) => value?.replaceAll(id, 'ID').replaceAll(/"request_id":"[^"]*"/g, '"request_id":"R"');
    return { status, text: plain(text), type: headers['content-type'], authenticate: plain(headers['www-authenticate']) };
}

// What names what; a field of another name that ends in _id is a kind of id that this test does not know yet.
const prefixes = {
    connection: 'conn', role: 'role', key: 'key', api_key: 'key', call: 'evt', event: 'evt', organization: 'org', user: 'usr', client: 'cli',
    grant: 'gnt', invitation: 'inv', virtual_server: 'vs', session: 'ses', service_account: 'sa', group: 'grp', scim_token: 'scim', provider: 'idp', test: 'sst', issuer: 'iss',
};
const freeText = ['app_id', 'idp_entity_id', 'private_key_id', 'CONNECTION_CREDENTIAL_SET client_id', 'ORGANIZATION_ISSUER_CREATE client_id', 'ORGANIZATION_ISSUER_UPDATE client_id']; // not ids of ours

/** Which of the victim's ids fits a field of this name. */
function victimIds(field, tool) {
    const match = /^(.*)_ids?$/.exec(field);
    if (field === 'id' || field === 'role') return Object.values(ids);
    if (!match || freeText.includes(field) || freeText.includes(`${tool} ${field}`)) return [];
    assert.ok(prefixes[match[1]], `which of the victim's ids is a ${field}?`);
    return [ids[prefixes[match[1]]]];
}

/** Every field of a schema, inner ones too: {field, isTop, put}, where put(value) makes arguments with it. */
function* fields(schema, wrap = (object) => object, isTop = true) {
    for (const [field, one] of Object.entries(schema.properties ?? {})) {
        const isList = [one.type].flat().includes('array');
        const put = (value) => wrap({ ...required(schema), [field]: isList ? [value] : value });
        yield { field, isTop, put };
        const inner = isList ? one.items : one;
        if (inner?.properties) yield* fields(inner, put, false);
    }
}

const manners = { 'an API key': () => attacker, 'an OAuth token': () => attacker.manages };
for (const [manner, who] of Object.entries(manners))
    test(`[231 232] every tool answers another organization's id as it answers an unknown one: ${manner}`, async () => {
        let attempts = 0;
        for (const [name, { inputSchema }] of tools)
            for (const { field, isTop, put } of fields(inputSchema))
                for (const id of victimIds(field, name)) {
                    const attempt = async (value) => {
                        const args = put(value);
                        if (args.connection_id && !(isTop && field === 'connection_id')) args.connection_id = attacker.connection.id;
                        if ('user_id' in inputSchema.properties && /MEMBER/.test(name) && field !== 'user_id') args.user_id = attacker.spare;
                        if (args.role && field !== 'role') args.role = 'member';
                        if ('confirm' in inputSchema.properties) args.confirm = 'victim';
                        return shape(await tulle.tool(name, args, who()), value);
                    };
                    const foreign = await attempt(id);
                    // The audit also shows the attacker's own attempts, which named the victim's id.
                    if (name !== 'ORGANIZATION_AUDIT_LIST') assert.deepEqual(foreign, await attempt(unknownOf(id)), `${name} ${field}=${id}`);
                    assert.ok(!foreign.text.includes(MARK) && !foreign.text.includes('victim.example'), `${name} tells: ${foreign.text}`);
                    if (foreign.status === 200 && !/_LIST$|_EXPLAIN$/.test(name))
                        assert.ok(!foreign.text.includes(id), `${name} accepted ${field}=${id}: ${foreign.text}`);
                    attempts++;
                }
        assert.ok(attempts > 50, `${attempts} attempts`);
    });

test('nothing of the victim changed or became visible', async () => {
    const { item } = await tulle.use('CONNECTION_GET', { connection_id: ids.conn }, victim);
    assert.deepEqual([item.name, item.enabled, item.has_credential], [MARK, true, true]);
    assert.equal((await tulle.use('ORGANIZATION_MEMBER_LIST', {}, victim)).total_count, 1);
    assert.equal((await tulle.use('ORGANIZATION_GET', {}, victim)).item.slug, 'victim');
    for (const [name, id] of [['OAUTH_GRANT_LIST', ids.gnt], ['OAUTH_CLIENT_LIST', ids.cli], ['SESSION_LIST', ids.ses], ['VIRTUAL_SERVER_LIST', ids.vs], ['ORGANIZATION_INVITATION_LIST', ids.inv]])
        if (id) assert.ok((await tulle.use(name, {}, victim)).items.some((item) => item.id === id), name);
    for (const name of [...tools.keys()].filter((one) => /_LIST$/.test(one))) {
        const args = required(tools.get(name).inputSchema);
        if (args.connection_id) args.connection_id = attacker.connection.id;
        // The attacker's own audit repeats the ids that the attacker sent; what they stand for must not be there.
        const told = /_AUDIT_LIST$/.test(name) ? [MARK] : [MARK, ...Object.values(ids)];
        for (const who of [attacker, attacker.manages]) {
            const { text } = await tulle.tool(name, args, who);
            for (const word of told) assert.ok(!text.includes(word), `${name}: ${text}`);
        }
    }
});

// An OAuth token is for one audience: elsewhere it is no token at all.
const bearers = { 'an API key': [() => attacker, 404], 'a token for their own connection': [() => attacker.uses, 401], 'a token for management': [() => attacker.manages, 401] };
for (const [bearer, [who, status]] of Object.entries(bearers))
    test(`[239 249] a connection's address answers a foreign bearer as an unknown address does: ${bearer}`, async () => {
        const body = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
        const ask = async (path, words, method = 'POST') => {
            const answer = shape(await send(`${tulle.url}${path}`, {
                method, ...who(), ...(method === 'POST' && { body }), headers: { accept: 'application/json, text/event-stream', 'mcp-session-id': session },
            }), words[0]);
            return JSON.parse(words.reduce((text, word) => text.replaceAll(word, 'WORD'), JSON.stringify(answer)));
        };
        for (const id of [ids.conn, ids.vs].filter(Boolean))
            for (const method of ['POST', 'GET', 'DELETE']) {
                const foreign = await ask(`/mcp/${id}`, [id], method);
                assert.equal(foreign.status, status, `${method} ${id}`);
                assert.deepEqual(foreign, await ask(`/mcp/${unknownOf(id)}`, [unknownOf(id)], method), `${method} ${id}`);
            }
        const slugs = (org, connection) => ask(`/mcp/${org}/${connection}`, [connection, org]);
        const foreign = await slugs('victim', 'victim-server');
        assert.ok([401, 404].includes(foreign.status), `${foreign.status}`);
        assert.deepEqual(foreign, await slugs('victim', 'no-such-one'));
        assert.deepEqual(foreign, await slugs('nobody', 'no-such-one'));
        assert.deepEqual(await ask('/mcp/hub/victim', ['victim']), await ask('/mcp/hub/nobody', ['nobody']));
    });

test('the pages answer another organization\'s id as an unknown one', async () => {
    const tried = { connection: ids.conn, organization_id: ids.org, session_id: ids.ses, connection_id: ids.conn };
    const plain = (answer, id) => [answer.status, answer.headers.location, answer.html.replaceAll(id, 'ID').replaceAll(/[0-9a-f]{32,64}/g, 'HEX')];
    const get = async (id) => plain(await page.request(`/account/servers/${id}`), id);
    assert.deepEqual(await get(tried.connection), await get(unknownOf(tried.connection)));
    assert.equal((await get(tried.connection))[0], 404);
    for (const [action, field] of [['/account/organization', 'organization_id'], ['/account/sessions', 'session_id'], ['/account/test', 'connection_id'], ['/account/keys', 'connection_id']]) {
        const post = async (id) => {
            const { csrf_token } = await page.session();
            return plain(await page.request(action, { method: 'POST', body: new URLSearchParams({ csrf_token, [field]: id, name: 'x' }).toString() }), id);
        };
        const foreign = await post(tried[field]);
        assert.deepEqual(foreign, await post(unknownOf(tried[field])), action);
        assert.ok(foreign[0] >= 400, `${action}: ${foreign[0]}`);
        assert.ok(!foreign[2].includes(MARK), action);
    }
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
        for (const who of [attacker, attacker.manages, attacker.uses]) {
            const ask = async (id) => shape(await send(tulle.url + path(id), { method, key: who.key, ...(method === 'POST' && { body: {} }) }), id);
            assert.deepEqual(await ask(ids.conn), await ask(unknownOf(ids.conn)), `${method} ${path('ID')}`);
            assert.notEqual((await ask(ids.conn)).status, 200);
        }
    }
});

test('[256] the victim\'s session is of no use at the attacker\'s connection', async () => {
    for (const { key } of [attacker, attacker.uses]) {
        const { status, body } = await rpc(attacker.connection.mcp, 'tools/list', {}, { key, headers: { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' } });
        assert.deepEqual([status, body.error.code], [404, -32001]);
    }
});

test('being an operator gives no rights inside an organization', async () => {
    for (const name of ['ORGANIZATION_GET', 'CONNECTION_LIST', 'ORGANIZATION_MEMBER_LIST', 'ORGANIZATION_AUDIT_LIST', 'API_KEY_LIST'])
        for (const who of [attacker, attacker.manages])
            await tulle.refuse(name, await fit(tulle, attacker.key, name, { organization_id: victim.org_id }), who, 404);
});

test('deleting an organization removes everything of it and ends its keys', async () => {
    await tulle.use('ORGANIZATION_DELETE', { confirm: 'victim' }, victim);
    await until('its key stops', async () => (await rpc(`${tulle.url}/mcp/${ids.conn}`, 'tools/list', {}, victim)).status === 401, 5000);
    const { code, stderr } = await tulle.cli(['key', 'create', '--org', 'victim', '--user', victim.email, '--name', 'x']);
    assert.notEqual(code, 0, stderr);
});
