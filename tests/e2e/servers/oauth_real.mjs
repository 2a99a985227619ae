// A session server on SDK v1 behind a real authorization server (npm oidc-provider): dynamic registration, PKCE, resource
// indicators, rotation of refresh tokens, revocation. Its one person is always signed in and always consents. PORT in the
// environment. Prints "listening PORT".
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const port = Number(process.env.PORT);
const origin = `http://127.0.0.1:${port}`;
const resource = `${origin}/mcp`;
const seen = { grants: [], revoked: 0, refused: 0 };
const sessions = new Map();

const provider = new Provider(origin, {
    features: {
        devInteractions: { enabled: false },
        registration: { enabled: true },
        revocation: { enabled: true },
        resourceIndicators: {
            enabled: true,
            defaultResource: () => resource,
            getResourceServerInfo: () => ({ scope: 'tools', accessTokenFormat: 'opaque', accessTokenTTL: 3600 }),
        },
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async () => true,
    scopes: ['openid', 'offline_access', 'tools'],
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    routes: { authorization: '/authorize', token: '/token', registration: '/register', revocation: '/revoke', jwks: '/jwks' },
});
provider.on('grant.success', (ctx) => seen.grants.push(ctx.oidc.params.grant_type));
provider.on('grant.error', (ctx, error) => seen.grants.push(`${ctx.oidc.params?.grant_type}: ${error.message}`));
provider.on('access_token.destroyed', () => seen.revoked++);
provider.on('grant.revoked', () => seen.revoked++);

async function interact(req, res) {
    const { prompt, params, grantId } = await provider.interactionDetails(req, res);
    if (prompt.name === 'login') return provider.interactionFinished(req, res, { login: { accountId: 'person' } });
    const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: 'person', clientId: params.client_id });
    grant.addOIDCScope('openid offline_access tools');
    grant.addResourceScope(resource, 'tools');
    return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

async function openSession() {
    const server = new McpServer({ name: 'guarded', version: '1.0.0' });
    server.registerTool('whoami', { description: 'who' }, (extra) => ({ content: [{ type: 'text', text: JSON.stringify(extra.requestInfo.headers) }] }));
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => randomUUID(), onsessioninitialized: (id) => sessions.set(id, transport) });
    await server.connect(transport);
    return transport;
}

async function mcp(req, res) {
    const given = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1];
    const token = given && await provider.AccessToken.find(given);
    if (!token || token.isExpired || token.aud !== resource) {
        if (given) seen.refused++;
        res.writeHead(401, { 'www-authenticate': `Bearer resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp", scope="tools"` });
        return res.end();
    }
    return (sessions.get(req.headers['mcp-session-id']) ?? await openSession()).handleRequest(req, res);
}

const oidc = provider.callback();
createServer((req, res) => {
    const { pathname } = new URL(req.url, origin);
    const run = pathname === '/mcp' ? mcp : pathname.startsWith('/interaction/') ? interact : undefined;
    const answer = (value) => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (pathname === '/_seen') return answer(seen);
    if (pathname === '/.well-known/oauth-protected-resource/mcp') return answer({ resource, authorization_servers: [origin], scopes_supported: ['tools'] });
    if (!run) return oidc(req, res);
    return run(req, res).catch((error) => {
        console.error(error);
        res.destroy();
    });
}).listen(port, '127.0.0.1', () => console.log(`listening ${port}`));
