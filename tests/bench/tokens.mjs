// Gets what the token endpoints' benchmark needs from one server, and prints it as shell assignments: forms, a session's cookie, the
// request that is answered with a code at once; refresh tokens go to FILE, one a line.
//   node tokens.mjs tulle URL KEY EMAIL PASSWORD FILE      node tokens.mjs provider URL FILE
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { Browser, onward } from "../e2e/lib/browser.mjs";
import { send } from "../e2e/lib/http.mjs";

const [kind, url, ...rest] = process.argv.slice(2);
const file = rest.at(-1);
const verifier = "bench-".repeat(8);
const challenge = createHash("sha256").update(verifier).digest("base64url");
const redirect_uri = "https://client.example/cb";
const query = (fields) => new URLSearchParams(fields).toString();
const post = async (path, body) => {
  const answer = await send(url + path, { body, headers: { "content-type": "application/x-www-form-urlencoded" } });
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
  return answer.body;
};

const browser = new Browser(url);
let paths, web, machine, scope;
if (kind === "tulle") {
  const [key, email, password] = rest;
  const use = async (name, body) => (await send(`${url}/api/tools/${name}`, { body, key })).body;
  paths = { authorize: "/oauth/authorize", token: "/oauth/token", introspect: "/oauth/introspect" };
  const account = (await use("SERVICE_ACCOUNT_CREATE", { name: "Bench" })).item;
  const made = await use("OAUTH_CLIENT_CREATE", { name: "Bench", service_account_id: account.id, scopes: ["mcp"], auth_method: "client_secret_post" });
  machine = { client_id: made.item.id, client_secret: made.client_secret };
  const { body } = await send(`${url}/oauth/register`, { body: { client_name: "Bench", redirect_uris: [redirect_uri], token_endpoint_auth_method: "client_secret_post" } });
  web = { client_id: body.client_id, client_secret: body.client_secret };
  scope = "mcp";
  await browser.signIn(email, password);
} else {
  paths = { authorize: "/authorize", token: "/token", introspect: "/introspect" };
  web = { client_id: "web", client_secret: "bench-secret" };
  machine = { client_id: "machine", client_secret: "bench-secret" };
  scope = "openid offline_access tools";
}

const authorize = `${paths.authorize}?${query({ response_type: "code", client_id: web.client_id, redirect_uri, code_challenge: challenge,
  code_challenge_method: "S256", scope, state: "s", ...(kind === "tulle" && { resource: `${url}/mcp/upstream` }) })}`;

/** A code: the page once, its consent remembered from then on. */
async function code() {
  let page = await browser.request(authorize);
  for (let i = 0; i < 8; i++) {
    const to = onward(page);
    if (to?.startsWith(redirect_uri)) return new URL(to).searchParams.get("code");
    page = to ? await browser.request(to)
      : await browser.request("/oauth/consent", { method: "POST", body: query({ ...page.form("/oauth/consent").fields, decision: "allow" }) });
  }
  throw new Error(`no code: ${page.html}`);
}

const redeem = `${query({ ...web, redirect_uri, code_verifier: verifier })}`;
const tokens = [];
for (let i = 0; i < 48; i++) {
  const given = await post(paths.token, `${redeem}&${query({ grant_type: "authorization_code", code: await code() })}`);
  tokens.push(given.refresh_token);
}
writeFileSync(file, tokens.join("\n") + "\n");
const grant = query({ ...machine, grant_type: "client_credentials", scope: kind === "tulle" ? "mcp" : "tools",
  ...(kind === "tulle" && { resource: `${url}/mcp/upstream` }) });
const { access_token } = await post(paths.token, grant);
const quoted = { TOKEN_PATH: paths.token, INTROSPECT_PATH: paths.introspect, AUTHORIZE: authorize, COOKIE: browser.cookies(),
  FORM_CODE: redeem, FORM_REFRESH: query(web), FORM_MACHINE: grant, FORM_INTROSPECT: query({ ...machine, token: access_token }) };
for (const [name, value] of Object.entries(quoted)) console.log(`${name}='${value}'`);
