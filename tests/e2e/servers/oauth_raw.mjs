// A hand-written MCP server with an authorization server of its own, both in one origin, that records and misbehaves as it is
// told (PUT /_plan). PORT in the environment. Prints "listening PORT".
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

const fresh = (name) => `${name}${randomBytes(16).toString('hex')}`;
let origin, plan = {};
const seen = { token: [], revoke: [], register: [], authorize: [], calls: [], refused: 0, metadata: [] };
const codes = new Map(), access = new Map(), refreshes = new Map();
let held = [];

const json = (res, status, value, headers = {}) => {
    res.writeHead(status, { 'content-type': 'application/json', ...headers });
    res.end(JSON.stringify(value));
};
const body = async (req) => {
    let text = '';
    for await (const chunk of req) text += chunk;
    return text;
};

function resourceMetadata(res) {
    if (plan.noResource) return json(res, 404, {});
    if (plan.resourceRedirect) return res.writeHead(302, { location: plan.resourceRedirect }).end();
    json(res, 200, { resource: `${origin}/mcp`, authorization_servers: [origin], scopes_supported: ['read'], ...plan.resource });
}

function serverMetadata(res) {
    if (plan.noMetadata) return json(res, 404, {});
    if (plan.metadataRedirect) return res.writeHead(302, { location: plan.metadataRedirect }).end();
    const { remove = [], ...more } = plan.metadata ?? {};
    const all = {
        issuer: origin, authorization_endpoint: `${origin}/authorize`, token_endpoint: `${origin}/token`,
        registration_endpoint: `${origin}/register`, revocation_endpoint: `${origin}/revoke`, response_types_supported: ['code'],
        code_challenge_methods_supported: ['S256'], token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
        authorization_response_iss_parameter_supported: true, ...more,
    };
    json(res, 200, Object.fromEntries(Object.entries(all).filter(([name]) => !remove.includes(name))));
}

async function register(req, res) {
    const metadata = JSON.parse(await body(req));
    seen.register.push(metadata);
    if (plan.noRegistration) return json(res, 403, { error: 'access_denied' });
    json(res, 201, { ...metadata, client_id: fresh('client'), ...plan.registered });
}

/** The person is always signed in and always says yes. */
function authorize(url, res) {
    const asked = Object.fromEntries(url.searchParams);
    seen.authorize.push(asked);
    const back = new URL(asked.redirect_uri);
    const code = fresh('code');
    codes.set(code, asked);
    const answer = { code, state: asked.state, iss: origin, ...plan.answer };
    for (const [name, value] of Object.entries(answer)) if (value !== null) back.searchParams.set(name, value);
    res.writeHead(302, { location: back.href }).end();
}

function issue(res, scope, resource) {
    const token = fresh('access'), renewal = fresh('refresh');
    access.set(token, { scope, resource });
    refreshes.set(renewal, { scope, resource });
    const answer = { access_token: token, token_type: 'Bearer', expires_in: plan.expiresIn ?? 3600, scope, ...(!plan.noRefresh && { refresh_token: renewal }) };
    return answer;
}

async function token(req, res) {
    const form = Object.fromEntries(new URLSearchParams(await body(req)));
    seen.token.push({ ...form, authorization: req.headers.authorization });
    if (plan.holdToken) await new Promise((go) => held.push(go));
    if (plan.tokenRaw) {
        const { status, headers = {}, text = '', repeat = 1 } = plan.tokenRaw;
        res.writeHead(status, headers);
        return res.end(text.repeat(repeat));
    }
    if (plan.tokenError) return json(res, plan.tokenStatus ?? 400, { error: plan.tokenError, error_description: 'said by the fixture' });
    if (form.grant_type === 'authorization_code') {
        const asked = codes.get(form.code);
        codes.delete(form.code);
        const challenge = createHash('sha256').update(form.code_verifier ?? '').digest('base64url');
        if (!asked || asked.code_challenge !== challenge || asked.redirect_uri !== form.redirect_uri) return json(res, 400, { error: 'invalid_grant' });
        return json(res, 200, issue(res, asked.scope ?? '', form.resource));
    }
    if (form.grant_type === 'client_credentials') {
        const given = form.client_secret ?? decodeURIComponent(Buffer.from((req.headers.authorization ?? '').slice(6), 'base64').toString().split(':')[1] ?? '');
        if (given !== plan.machineSecret) return json(res, 401, { error: 'invalid_client' });
        const { refresh_token, ...machine } = issue(res, form.scope ?? '', form.resource);
        return json(res, 200, machine);
    }
    const had = refreshes.get(form.refresh_token);
    if (!had || (had.answer && !plan.repeats)) return json(res, 400, { error: 'invalid_grant' });
    had.answer ??= issue(res, had.scope, had.resource);
    // Made, and the connection breaks before it is told.
    if (plan.dropAnswer) return req.socket.destroy();
    json(res, 200, had.answer);
}

function answerTo({ method, params }, held_, req) {
    switch (method) {
    case 'initialize':
        return { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'guarded', version: '1' } };
    case 'tools/list':
        return { tools: [{ name: 'whoami', inputSchema: { type: 'object' } }, { name: 'write', inputSchema: { type: 'object' } }] };
    case 'tools/call':
        seen.calls.push({ name: params.name, authorization: req.headers.authorization });
        return { content: [{ type: 'text', text: JSON.stringify({ headers: req.headers, scope: held_.scope }) }] };
    default:
        return undefined;
    }
}

async function mcp(req, res) {
    const text = await body(req);
    const given = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1];
    const ours = plan.refuseAll ? undefined : access.get(given);
    if (!ours) {
        if (given) seen.refused++;
        const metadata = plan.noChallenge ? '' : `, resource_metadata="${plan.challenge ?? `${origin}/.well-known/oauth-protected-resource/mcp`}"`;
        const scope = plan.challengeScope ? `, scope="${plan.challengeScope}"` : '';
        return json(res, 401, { error: 'unauthorized' }, { 'www-authenticate': `Bearer realm="fixture"${metadata}${scope}` });
    }
    const message = JSON.parse(text);
    if (message.method === 'tools/call' && message.params.name === 'write' && (plan.isStubborn || !ours.scope.split(' ').includes('write')))
        return json(res, 403, {}, { 'www-authenticate': 'Bearer error="insufficient_scope", scope="write"' });
    if (message.id === undefined) return res.writeHead(202).end();
    const result = answerTo(message, ours, req);
    json(res, 200, { jsonrpc: '2.0', id: message.id, ...(result ? { result } : { error: { code: -32601, message: 'Method not found' } }) });
}

async function control(req, res, name) {
    if (name === 'plan') plan = JSON.parse(await body(req));
    if (name === 'merge') plan = { ...plan, ...JSON.parse(await body(req)) };
    if (name === 'expire') access.clear();
    if (name === 'release') {
        plan.holdToken = false;
        for (const go of held.splice(0)) go();
    }
    if (name === 'forget') for (const list of Object.values(seen)) if (Array.isArray(list)) list.length = 0;
    json(res, 200, name === 'seen' ? seen : {});
}

async function handle(req, res) {
    const url = new URL(req.url, origin);
    if (url.pathname.startsWith('/_')) return control(req, res, url.pathname.slice(2));
    if (url.pathname.startsWith('/.well-known')) seen.metadata.push(url.pathname);
    if (url.pathname === '/.well-known/oauth-protected-resource/mcp' || (plan.rootResource && url.pathname === '/.well-known/oauth-protected-resource'))
        return plan.rootResource && url.pathname.endsWith('/mcp') ? json(res, 404, {}) : resourceMetadata(res);
    if (url.pathname === (plan.metadataPath ?? '/.well-known/oauth-authorization-server')) return serverMetadata(res);
    const routes = { '/register': () => register(req, res), '/authorize': () => authorize(url, res), '/token': () => token(req, res), '/mcp': () => mcp(req, res) };
    if (url.pathname === '/revoke') {
        seen.revoke.push(Object.fromEntries(new URLSearchParams(await body(req))));
        return json(res, 200, {});
    }
    return (routes[url.pathname] ?? (() => json(res, 404, {})))();
}

const listener = createServer((req, res) => handle(req, res).catch((error) => {
    console.error(error);
    res.destroy();
}));
listener.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    origin = `http://127.0.0.1:${listener.address().port}`;
    console.log(`listening ${listener.address().port}`);
});
