// ORGANIZATION_GROUP_*: members get roles by groups, and lose them within a second; `tulle recover`.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { makeOwner, makePerson } from './lib/oauth.mjs';
import { until } from './lib/children.mjs';
import { rpc } from './lib/http.mjs';
import { Dns } from './lib/dns.mjs';
import { guard } from './lib/secrets.mjs';
import { sql } from './lib/store.mjs';
import { LyingProvider, Traveller } from './lib/sso.mjs';

const secret = guard('c1ient-secret-of-groups', 'client secret of a provider');
let tulle, org, other, connection, people, dns, provider, idp;
before(async () => {
    [dns, provider] = await Promise.all([new Dns().start(), new LyingProvider().start()]);
    const [program, server] = await Promise.all([startTulle({ env: { DNS_SERVER: dns.address } }), startV1()]);
    tulle = program;
    org = await makeOwner(tulle, 'acme');
    other = await makeOwner(tulle, 'other');
    connection = await tulle.connect(org, { name: 'echo', url: server.url });
    people = {};
    for (const name of ['ann', 'ben', 'cem']) {
        const person = await makePerson(tulle, `${name}@acme.example`);
        await use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: name === 'cem' ? 'admin' : 'member' });
        people[name] = { ...person, key: await tulle.makeKey('acme', person.email) };
    }
    idp = (await use('ORGANIZATION_SSO_CREATE', { type: 'oidc', name: 'Corp', issuer: provider.issuer, client_id: 'tulle', client_secret: secret })).item;
    const { item: domain } = await use('ORGANIZATION_DOMAIN_ADD', { domain: 'example.test', provider_id: idp.id });
    dns.set(domain.txt_name, domain.txt_value);
    await use('ORGANIZATION_DOMAIN_VERIFY', { domain: 'example.test' });
});
after(async () => {
    await tulle?.end();
    await Promise.all([dns?.end(), provider?.end()]);
});

const use = (name, args = {}, who = org) => tulle.use(name, args, who);
const refuse = (name, args, status, who = org) => tulle.refuse(name, args, who, status);
const statusOf = async (name, args, who) => (await tulle.tool(name, args, who)).status;

test('a group is made, listed, changed and deleted', async () => {
    const { item } = await use('ORGANIZATION_GROUP_CREATE', { name: 'Engineering', description: 'they build', roles: ['member'] });
    assert.match(item.id, /^grp_[0-9a-f]{32}$/);
    assert.deepEqual([item.name, item.roles, item.member_count, item.mappings], ['Engineering', ['member'], 0, []]);
    await refuse('ORGANIZATION_GROUP_CREATE', { name: 'Engineering' }, 409);
    await refuse('ORGANIZATION_GROUP_CREATE', { name: 'Odd', roles: ['emperor'] }, 400);
    await refuse('ORGANIZATION_GROUP_CREATE', { name: 'Odd', roles: ['role_f00dfeedf00dfeedf00dfeedf00dfeed'] }, 404);
    await refuse('ORGANIZATION_GROUP_CREATE', { name: 'Odd', mappings: [{ provider_id: 'idp_f00dfeedf00dfeedf00dfeedf00dfeed', name: 'x' }] }, 404);
    const changed = await use('ORGANIZATION_GROUP_UPDATE', { group_id: item.id, name: 'Builders', roles: [] });
    assert.deepEqual([changed.item.name, changed.item.roles], ['Builders', []]);
    const list = await use('ORGANIZATION_GROUP_LIST');
    assert.deepEqual([list.items.map((g) => g.name), list.total_count], [['Builders'], 1]);
    assert.deepEqual(await use('ORGANIZATION_GROUP_DELETE', { group_id: item.id }), { deleted: true, id: item.id });
    await refuse('ORGANIZATION_GROUP_UPDATE', { group_id: item.id, name: 'again' }, 404);
    await refuse('ORGANIZATION_GROUP_DELETE', { group_id: item.id }, 404);
});

test('a group\'s built-in role counts at once on a running key, is explained, and is lost at once', async () => {
    const { item } = await use('ORGANIZATION_GROUP_CREATE', { name: 'Admins', roles: ['admin'] });
    assert.ok([403, 404].includes(await statusOf('ORGANIZATION_ROLE_CREATE', { name: 'x', statements: [] }, people.ann)));
    const { item: joined } = await use('ORGANIZATION_GROUP_MEMBER_ADD', { group_id: item.id, email: people.ann.email });
    assert.equal(joined.member_count, 1);
    await use('ORGANIZATION_GROUP_MEMBER_ADD', { group_id: item.id, user_id: people.ann.user_id });
    await until('the group makes an administrator', async () =>
        await statusOf('ORGANIZATION_ROLE_LIST', { organization_id: org.org_id }, people.ann) === 200
        && await statusOf('ORGANIZATION_GROUP_CREATE', { name: `by ann ${Math.random()}` }, people.ann) === 200);
    const why = await use('ORGANIZATION_POLICY_EXPLAIN', { email: people.ann.email, action: 'manage', name: 'ORGANIZATION_ROLE_CREATE' });
    assert.match(JSON.stringify(why), /admin of the group \\"Admins\\"/);
    assert.deepEqual((await use('ORGANIZATION_MEMBER_LIST', { group_id: item.id })).items.map((m) => m.email), [people.ann.email]);
    assert.deepEqual((await use('ORGANIZATION_GROUP_LIST', { user_id: people.ann.user_id })).items.map((g) => g.name), ['Admins']);
    await use('ORGANIZATION_GROUP_MEMBER_REMOVE', { group_id: item.id, user_id: people.ann.user_id });
    await until('the lost group is noticed', async () => [403, 404].includes(await statusOf('ORGANIZATION_GROUP_CREATE', { name: `late ${Math.random()}` }, people.ann)));
    await refuse('ORGANIZATION_GROUP_MEMBER_REMOVE', { group_id: item.id, user_id: people.ann.user_id }, 404);
});

test('a custom role by a group denies and is named; deleting the group gives back', async () => {
    const { item: role } = await use('ORGANIZATION_ROLE_CREATE', { name: 'No echo', statements: [{ on: connection.id, tools: ['echo'], effect: 'deny' }] });
    const { item: group } = await use('ORGANIZATION_GROUP_CREATE', { name: 'Quiet', roles: [role.id] });
    const call = async () => (await tulle.callTool(connection, 'echo', { text: 'hi' }, people.ben)).body;
    assert.ok((await call()).result);
    await use('ORGANIZATION_GROUP_MEMBER_ADD', { group_id: group.id, email: people.ben.email });
    await until('the group denies', async () => (await call()).error?.code === -32602);
    const why = await use('ORGANIZATION_POLICY_EXPLAIN', { email: people.ben.email, connection_id: connection.id, name: 'echo' });
    assert.match(JSON.stringify(why), /No echo\\" of the group \\"Quiet\\"/);
    assert.deepEqual((await use('ORGANIZATION_ROLE_LIST', {}, people.ben)).items.map((r) => r.name), ['No echo']);
    assert.deepEqual((await use('ORGANIZATION_GROUP_LIST', {}, people.ben)).items.map((g) => g.name), ['Quiet'], 'a member sees their own');
    assert.match((await refuse('ORGANIZATION_ROLE_DELETE', { role_id: role.id }, 409)).message, /1 group\b.*another one first/);
    await use('ORGANIZATION_GROUP_DELETE', { group_id: group.id });
    await until('the deleted group denies no more', async () => (await call()).result);
    await use('ORGANIZATION_ROLE_DELETE', { role_id: role.id });
});

test('a stream of somebody who loses the only role that let them in ends', async () => {
    const { item: role } = await use('ORGANIZATION_ROLE_CREATE', { name: 'May echo', statements: [{ on: connection.id, tools: ['*'], effect: 'allow' }] });
    const { item: nothing } = await use('ORGANIZATION_ROLE_CREATE', { name: 'Nothing', statements: [] });
    const { item: group } = await use('ORGANIZATION_GROUP_CREATE', { name: 'Echoists', roles: [role.id] });
    await use('ORGANIZATION_MEMBER_UPDATE_ROLE', { email: people.ben.email, role: nothing.id });
    await use('ORGANIZATION_GROUP_MEMBER_ADD', { group_id: group.id, email: people.ben.email });
    await until('the group lets in', async () => (await tulle.callTool(connection, 'echo', { text: 'x' }, people.ben)).body?.result);
    const hello = await rpc(connection.mcp, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } }, people.ben);
    const controller = new AbortController();
    const stream = await fetch(connection.mcp, {
        headers: { authorization: `Bearer ${people.ben.key}`, accept: 'text/event-stream', 'mcp-session-id': hello.headers['mcp-session-id'] }, signal: controller.signal });
    assert.equal(stream.status, 200);
    const ended = (async () => { for await (const chunk of stream.body) void chunk; })().then(() => true, () => true);
    await use('ORGANIZATION_GROUP_MEMBER_REMOVE', { group_id: group.id, email: people.ben.email });
    const isOver = await Promise.race([ended, new Promise((resolve) => { setTimeout(resolve, 20_000, false).unref(); })]);
    controller.abort();
    assert.ok(isOver, 'the stream ended');
    await use('ORGANIZATION_MEMBER_UPDATE_ROLE', { email: people.ben.email, role: 'member' });
});

test('[233] administrators neither make nor fill groups of owners; owners by group are protected', async () => {
    const { item: owners } = await use('ORGANIZATION_GROUP_CREATE', { name: 'Owners', roles: ['owner'] });
    const { cem } = people;
    await refuse('ORGANIZATION_GROUP_CREATE', { name: 'Coup', roles: ['owner'] }, 403, cem);
    await refuse('ORGANIZATION_GROUP_MEMBER_ADD', { group_id: owners.id, email: cem.email }, 403, cem);
    await refuse('ORGANIZATION_GROUP_UPDATE', { group_id: owners.id, name: 'mine' }, 403, cem);
    await refuse('ORGANIZATION_GROUP_DELETE', { group_id: owners.id }, 403, cem);
    await use('ORGANIZATION_SSO_UPDATE', { provider_id: idp.id, name: 'Corp by Cem' }, cem);
    await use('ORGANIZATION_GROUP_UPDATE', { group_id: owners.id, mappings: [{ provider_id: idp.id, name: 'corp-owners' }] });
    await refuse('ORGANIZATION_SSO_UPDATE', { provider_id: idp.id, issuer: 'https://cem.example' }, 403, cem);
    await use('ORGANIZATION_SSO_UPDATE', { provider_id: idp.id, name: 'Corp' });
    await use('ORGANIZATION_GROUP_MEMBER_ADD', { group_id: owners.id, email: people.ann.email });
    await refuse('ORGANIZATION_MEMBER_REMOVE', { email: people.ann.email }, 403, cem);
    await refuse('ORGANIZATION_GROUP_MEMBER_REMOVE', { group_id: owners.id, email: people.ann.email }, 403, cem);
    await use('ORGANIZATION_GROUP_DELETE', { group_id: owners.id });
});

test('[231 232] groups of another organization do not exist; nobody outside gets in', async () => {
    const { item } = await use('ORGANIZATION_GROUP_CREATE', { name: 'Ours' });
    for (const [tool, args] of [['UPDATE', { name: 'theirs' }], ['DELETE', {}], ['MEMBER_ADD', { email: other.email }], ['MEMBER_REMOVE', { email: other.email }]])
        await refuse(`ORGANIZATION_GROUP_${tool}`, { group_id: item.id, ...args }, 404, other);
    await refuse('ORGANIZATION_GROUP_MEMBER_ADD', { group_id: item.id, email: other.email }, 404);
    await refuse('ORGANIZATION_MEMBER_LIST', { group_id: item.id }, 404, other);
    assert.equal((await use('ORGANIZATION_GROUP_LIST', {}, other)).total_count, 0);
    await refuse('ORGANIZATION_GROUP_LIST', { user_id: people.ann.user_id }, 404, people.ben);
});

test('members who leave the organization leave its groups', async () => {
    const { item } = await use('ORGANIZATION_GROUP_CREATE', { name: 'Leavers', roles: ['admin'] });
    const eve = await makePerson(tulle, 'eve@acme.example');
    await use('ORGANIZATION_MEMBER_ADD', { email: eve.email, role: 'member' });
    await use('ORGANIZATION_GROUP_MEMBER_ADD', { group_id: item.id, email: eve.email });
    await use('ORGANIZATION_MEMBER_REMOVE', { email: eve.email });
    await use('ORGANIZATION_MEMBER_ADD', { email: eve.email, role: 'member' });
    assert.deepEqual((await use('ORGANIZATION_MEMBER_LIST', { group_id: item.id })).items, []);
});

test('a provider\'s groups are the organization\'s as it maps them; those by hand stay', async () => {
    const make = async (name, fields) => (await use('ORGANIZATION_GROUP_CREATE', { name, ...fields })).item;
    const mapped = await make('Mapped', { roles: ['admin'], mappings: [{ provider_id: idp.id, name: 'corp-admins' }, { provider_id: idp.id, name: 'corp-root' }] });
    assert.deepEqual(mapped.mappings.map((one) => one.name), ['corp-admins', 'corp-root']);
    const second = await make('Second', { mappings: [{ provider_id: idp.id, name: 'corp-second' }] });
    const byHand = await make('By hand', { mappings: [{ provider_id: idp.id, name: 'corp-hand' }] });
    const owners = await make('Mapped owners', { roles: ['owner'] });
    await use('ORGANIZATION_SSO_UPDATE', { provider_id: idp.id, group_roles: { 'corp-direct': ['admin', second.id, owners.id] } });
    const signIn = async (groups) => {
        provider.plan = { claims: { groups } };
        const browser = new Traveller(`http://localhost:${tulle.port}`);
        await browser.travel(provider, idp.id);
        const { user } = await browser.session();
        assert.equal(user?.email, 'ada@example.test');
        return user.id;
    };
    const groupsOf = async (user_id) => (await use('ORGANIZATION_GROUP_LIST', { user_id })).items.map((g) => g.name).sort();
    const ada = await signIn(['corp-admins', 'corp-unknown', 'corp-second']);
    assert.deepEqual(await groupsOf(ada), ['Mapped', 'Second']);
    const key = await tulle.makeKey('acme', 'ada@example.test');
    const may = async () => await statusOf('ORGANIZATION_GROUP_CREATE', { name: `by ada ${Math.random()}` }, { key }) === 200;
    await until('the provider\'s group counts', may);
    await use('ORGANIZATION_GROUP_MEMBER_ADD', { group_id: byHand.id, user_id: ada });
    await signIn(['corp-second']);
    assert.deepEqual(await groupsOf(ada), ['By hand', 'Second'], 'exactly what the provider says, and what is by hand');
    await until('the lost group counts no more', async () => !await may());
    await signIn([]);
    assert.deepEqual(await groupsOf(ada), ['By hand']);
    await signIn(['corp-direct']);
    assert.deepEqual(await groupsOf(ada), ['By hand', 'Second'], 'ownership never comes by group_roles');
    await until('roles by group_roles count', may);
    const why = await use('ORGANIZATION_POLICY_EXPLAIN', { user_id: ada, action: 'manage', name: 'ORGANIZATION_ROLE_CREATE' });
    assert.match(JSON.stringify(why), /admin of the group \\"Corp\\"/);
    await signIn(['corp-hand', 'CORP-ADMINS']);
    await until('roles by group_roles are lost', async () => !await may());
});

test('[233] an administrator who decides what a provider says becomes no owner by it', async () => {
    const { cem } = people;
    const email = 'olga@example.test';
    const arrive = async (more = {}) => {
        provider.plan = { claims: { sub: 'olga', email, ...more } };
        const browser = new Traveller(`http://localhost:${tulle.port}`);
        const page = await browser.travel(provider, idp.id);
        return { browser, page };
    };
    const act = async (browser, tool = 'ORGANIZATION_MEMBER_LIST', args = {}) => {
        const { csrf_token } = await browser.session();
        const { status, html } = await browser.request(`/api/tools/${tool}`, { method: 'POST', body: JSON.stringify({ organization_id: org.org_id, ...args }),
            headers: { 'content-type': 'application/json', 'x-csrf-token': csrf_token } });
        return { status, text: html };
    };
    const { browser } = await arrive();
    assert.equal((await act(browser)).status, 200, 'a member');
    const vouches = async (fields, who) => (await use('ORGANIZATION_SSO_UPDATE', { provider_id: idp.id, ...fields }, who)).item.vouches_for_owners;
    assert.equal(await vouches({ name: 'Corp by Cem' }, cem), true, 'what it is called says nothing about people');
    await use('ORGANIZATION_POLICY_UPDATE', { require_sso: true, provider_id: idp.id });
    await refuse('ORGANIZATION_SSO_UPDATE', { provider_id: idp.id, client_secret: secret }, 422, cem);
    await refuse('ORGANIZATION_SSO_UPDATE', { provider_id: idp.id, client_secret: secret, enforced: true }, 422, cem);
    assert.equal(await vouches({ enforced: false, client_secret: secret }, cem), false);
    await refuse('ORGANIZATION_POLICY_UPDATE', { require_sso: true, provider_id: idp.id }, 422, cem);
    assert.equal((await act(browser)).status, 200, 'for members nothing changes');
    const mappings = ['corp-owners', 'corp-members'].map((name) => ({ provider_id: idp.id, name }));
    const owners = (await use('ORGANIZATION_GROUP_CREATE', { name: 'Owners of Corp', roles: ['owner'], mappings: mappings.slice(0, 1) })).item;
    const members = (await use('ORGANIZATION_GROUP_CREATE', { name: 'Members of Corp', mappings: mappings.slice(1) })).item;
    const groups = mappings.map(({ name }) => name);
    const { user } = await browser.session();
    await arrive({ groups });
    const groupsNow = async () => (await use('ORGANIZATION_GROUP_LIST', { user_id: user.id })).items.map(({ name }) => name).sort();
    assert.deepEqual(await groupsNow(), ['Members of Corp'], 'and whom it calls an owner becomes none');
    assert.equal(await vouches({ enabled: true }), true);
    await arrive({ groups });
    assert.deepEqual(await groupsNow(), ['Members of Corp', 'Owners of Corp']);
    for (const group_id of [owners.id, members.id]) await use('ORGANIZATION_GROUP_DELETE', { group_id });
    assert.equal(await vouches({ client_secret: secret }, cem), false);
    // What it leaves behind is no more than it is: keys, and ways to sign in.
    const made = await act(browser, 'API_KEY_CREATE', { name: 'of a member' });
    const key = guard(JSON.parse(made.text).key, 'API key');
    assert.equal(await statusOf('ORGANIZATION_GET', {}, { key }), 200);
    const rotated = await use('API_KEY_CREATE', { name: 'by that key' }, { key });
    const { item: second } = await use('ORGANIZATION_SSO_CREATE', { type: 'oidc', name: 'Second', issuer: provider.issuer, client_id: 'tulle', client_secret: secret });
    const { item: third } = await use('ORGANIZATION_SSO_CREATE', { type: 'oidc', name: 'Third', issuer: provider.issuer, client_id: 'tulle', client_secret: secret }, cem);
    const link = async (from, { id } = second) => {
        const { csrf_token } = await from.session();
        return (await from.request('/account/identities', { method: 'POST', body: new URLSearchParams({ csrf_token, provider_id: id }).toString() })).status;
    };
    for (const one of [second, third, idp]) assert.equal(await link(browser, one), 403, 'no way in that counts for owners, or may one day, by one that does not');
    await use('ORGANIZATION_SSO_DELETE', { provider_id: third.id });
    assert.ok(!(await browser.request('/account/identities')).html.includes(second.id));
    await use('ORGANIZATION_MEMBER_UPDATE_ROLE', { email, role: 'owner' });
    for (const one of [key, rotated.key]) assert.equal(await statusOf('ORGANIZATION_GET', {}, { key: one }), 401, 'an owner now');
    const refused = await act(browser);
    assert.deepEqual([refused.status, /administrator has set up/.test(refused.text)], [403, true], refused.text);
    const again = await arrive();
    assert.equal(again.page.status, 403, again.page.text);
    assert.equal((await again.browser.session()).user, null);
    assert.equal(await vouches({ enabled: true }), true, 'an owner confirms it');
    assert.equal((await act(browser)).status, 200);
    for (const one of [key, rotated.key]) assert.equal(await statusOf('ORGANIZATION_GET', {}, { key: one }), 200);
    // A secret that another sign-in left behind does not live on by this one's proof.
    sql(tulle, `UPDATE api_keys SET proof = '${second.id}' WHERE id = '${rotated.item.id}'`);
    const rotate = async (overlap_minutes) => act(browser, 'API_KEY_ROTATE', { key_id: rotated.item.id, overlap_minutes });
    assert.equal((await rotate(10)).status, 422);
    for (const minutes of [0, 10]) {
        const { status, text } = await rotate(minutes);
        assert.equal(status, 200, text);
        guard(JSON.parse(text).key, 'API key');
    }
    assert.equal(await statusOf('ORGANIZATION_GET', {}, { key: rotated.key }), 401);
    assert.equal(await link(browser), 200);
    await use('ORGANIZATION_SSO_DELETE', { provider_id: second.id });
    assert.equal((await arrive()).page.status, 303);
    await use('ORGANIZATION_MEMBER_REMOVE', { email });
    provider.plan = {};
});

test('[237] tulle recover makes an owner again, suspends require_sso, and is in the record', async () => {
    const { ann } = people;
    await use('ORGANIZATION_POLICY_UPDATE', { require_sso: true, provider_id: idp.id });
    const { stdout, stderr, code } = await tulle.cli(['recover', '--org', 'acme', '--email', ann.email]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^http:\S+\n$/);
    await until('ann owns it', async () => (await use('ORGANIZATION_MEMBER_LIST')).items.find((m) => m.email === ann.email).roles.includes('owner'));
    await until('single sign-on is demanded no more', async () => !(await use('ORGANIZATION_POLICY_GET')).item.require_sso);
    const rows = (await use('ORGANIZATION_AUDIT_LIST', { limit: 100 })).items.filter((row) => row.user_id === 'cli').map((row) => row.method);
    assert.ok(rows.includes('recover') && rows.includes('recover: require_sso suspended'), String(rows));
    assert.equal((await tulle.cli(['recover', '--org', 'nobody', '--email', ann.email])).code !== 0, true);
});
