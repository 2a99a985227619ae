// The command line and the environment.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isLoopback } from './addresses.mjs';

export const usage = `usage: tulle-bridge URL [options]
Connects an MCP client that speaks stdio to the MCP server at URL. In Claude Desktop's configuration:
  {"mcpServers": {"tulle": {"command": "npx", "args": ["-y", "tulle-bridge", "https://tulle.example.com/mcp/hub"]}}}

  --header "NAME: VALUE"   sends a header with every request (repeatable); with Authorization there is no sign-in
  --login                  signs in, stores the tokens and ends: for clients that do not wait for a browser
  --logout                 forgets the stored tokens of URL and ends
  --no-browser             only prints the address to sign in at
  --port N                 the loopback port that the browser comes back to (default: any free one)
  --wait SECONDS           how long to wait for a server that does not answer (default: 60)
  --version, --help

TULLE_API_KEY     an API key instead of signing in
TULLE_BRIDGE_DIR  where tokens are kept (default: the user's configuration folder)`;

/** A mistake of whoever typed the command: one line, no stack. */
export class UsageError extends Error {}

function headerOf(text) {
    const at = text.indexOf(':');
    const name = text.slice(0, at).trim();
    const value = text.slice(at + 1).trim();
    if (at < 1 || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || value === '' || /[\0\r\n]/.test(value))
        throw new UsageError(`--header: expected "NAME: VALUE"`); // not quoted: it may hold a secret
    return [name.toLowerCase(), value];
}

function urlOf(text) {
    let url;
    try {
        url = new URL(text);
    } catch {
        throw new UsageError(`"${text}" is no address, expected for example https://tulle.example.com/mcp/hub`);
    }
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new UsageError(`${text}: expected https`);
    if (url.protocol === 'http:' && !isLoopback(url)) throw new UsageError(`${text}: expected https; http is for this machine only`);
    if (url.username || url.password) throw new UsageError('the address holds a password: use --header or TULLE_API_KEY');
    url.hash = '';
    return url;
}

function numberOf(name, text, max) {
    const number = Number(text);
    if (!/^\d{1,5}$/.test(text) || number > max) throw new UsageError(`${name} is "${text}", expected 0 to ${max}`);
    return number;
}

/** Where programs keep what belongs to one user. */
export function configDir(env, platform = process.platform) {
    if (env.TULLE_BRIDGE_DIR) return env.TULLE_BRIDGE_DIR;
    if (platform === 'win32') return join(env.APPDATA || join(homedir(), 'AppData', 'Roaming'), 'tulle-bridge');
    if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'tulle-bridge');
    return join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'tulle-bridge');
}

export function parseOptions(argv, env) {
    const out = { headers: {}, dir: configDir(env), port: 0, wait: 60 };
    const words = [...argv];
    const value = (name) => {
        if (words.length === 0) throw new UsageError(`${name} lacks its value`);
        return words.shift();
    };
    while (words.length > 0) {
        const word = words.shift();
        if (word === '--help' || word === '-h') out.isHelp = true;
        else if (word === '--version') out.isVersion = true;
        else if (word === '--login') out.isLogin = true;
        else if (word === '--logout') out.isLogout = true;
        else if (word === '--no-browser') out.noBrowser = true;
        else if (word === '--port') out.port = numberOf(word, value(word), 65535);
        else if (word === '--wait') out.wait = numberOf(word, value(word), 3600);
        else if (word === '--header' || word === '-H') {
            const [name, text] = headerOf(value(word));
            out.headers[name] = text;
        } else if (word.startsWith('-')) throw new UsageError(`${word.slice(0, 40)} is no option; --help lists them`);
        else if (out.url) throw new UsageError('expected one address');
        else out.url = urlOf(word);
    }
    if (out.isHelp || out.isVersion) return out;
    if (!out.url) throw new UsageError('the address of the server is missing; --help shows how');
    if (env.TULLE_API_KEY && !out.headers.authorization) out.headers.authorization = `Bearer ${env.TULLE_API_KEY.trim()}`;
    out.hasKey = out.headers.authorization !== undefined;
    if (out.hasKey && (out.isLogin || out.isLogout)) throw new UsageError('with an API key there is nothing to sign in to or out of');
    return out;
}
