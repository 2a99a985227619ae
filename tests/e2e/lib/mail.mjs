// A mail server that can fail in every way, and one that speaks an e-mail provider's HTTP interface. What they took is read
// as a person's program would.
import assert from 'node:assert/strict';
import { createServer as createHttp } from 'node:http';
import { createServer } from 'node:net';
import { TLSSocket } from 'node:tls';
import { until } from './children.mjs';
import { guard } from './secrets.mjs';

const word = /=\?UTF-8\?B\?([A-Za-z0-9+/=]*)\?=/g;

/** {headers, subject, text, html, link, token} of a mail as it went over the wire; fails where it is not well formed. */
export function parseMail(raw) {
    assert.ok(!/[^\r]\n|\r[^\n]/.test(raw), 'lines end in CRLF');
    for (const line of raw.split('\r\n')) assert.ok(line.length <= 78, `a line of ${line.length}: ${line}`);
    const end = raw.indexOf('\r\n\r\n');
    const headers = {};
    for (const line of raw.slice(0, end).replaceAll(/\r\n /g, ' ').split('\r\n')) {
        const [, name, value] = /^([A-Za-z-]+): (.*)$/.exec(line) ?? assert.fail(`no header: ${line}`);
        assert.ok(!(name.toLowerCase() in headers), `${name} twice`);
        headers[name.toLowerCase()] = value.replaceAll(/\?= =\?/g, '?==?').replaceAll(word, (_, b64) => Buffer.from(b64, 'base64').toString());
    }
    const boundary = /boundary="([^"]+)"/.exec(headers['content-type'])[1];
    const parts = raw.slice(end + 4).split(`--${boundary}`).slice(1);
    assert.equal(parts.pop(), '--\r\n', 'the last boundary ends the mail');
    const body = (type) => {
        const part = parts.find((one) => one.includes(`Content-Type: ${type}; charset=utf-8`));
        return Buffer.from(part.split('\r\n\r\n')[1], 'base64').toString();
    };
    return readMail({ headers, to: headers.to, subject: headers.subject, text: body('text/plain'), html: body('text/html') });
}

/** Adds what a person clicks on. Its token is a secret from now on. */
function readMail(mail) {
    const link = /^(https?:\/\/\S+)$/m.exec(mail.text)?.[1];
    const token = /\/([A-Za-z0-9_-]{43})(?:$|\?)/.exec(link ?? '')?.[1];
    if (token) guard(token, `the token of a mail to ${mail.to}`);
    if (link) assert.ok(mail.html.includes(`href="${link}"`), 'both bodies have the link');
    return { ...mail, link, path: link && new URL(link).pathname + new URL(link).search, token };
}

function waiting(mails) {
    let seen = 0;
    return {
        mails,
        /** The next mail that nobody has asked for, to this address if one is given. */
        async next(to, ms = 20_000) {
            const mail = await until(`a mail${to ? ` to ${to}` : ''}`, () => mails.slice(seen).find((one) => !to || one.to.includes(to)), ms);
            seen = mails.indexOf(mail) + 1;
            return mail;
        },
        /** How many came for this address so far. */
        count: (to) => mails.filter((one) => one.to.includes(to)).length,
    };
}

/**
 * An SMTP server. `plan(step, n)` is asked at 'connect', 'mail', 'rcpt', 'data', 'end' of the n-th connection and may give an
 * answer ("451 later"), 'drop' (hang up) or 'silence'. tls: {key, cert} offers STARTTLS; user and password: asks for AUTH.
 * {url, mails, next(), count(), log, connections, plan, close()}: log holds what clients said, passwords too.
 */
export async function startSmtp({ tls, user, password, plan, host = '127.0.0.1' } = {}) {
    const mails = [];
    const sockets = new Set();
    const sink = { ...waiting(mails), log: [], connections: 0, plan };
    const server = createServer((socket) => {
        const n = ++sink.connections;
        const session = { n, socket, from: null, to: [], authed: !user, lines: '', data: null, isTls: false };
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => sockets.delete(socket));
        listen(session);
        reply(session, 'connect', '220 sink.test ready');
    });

    function say(session, text) {
        session.socket.write(`${text}\r\n`);
    }
    function reply(session, step, usual) {
        const planned = sink.plan?.(step, session.n) ?? usual;
        if (planned === 'drop') session.socket.destroy();
        else if (planned !== 'silence') say(session, planned);
        return planned === usual;
    }
    function listen(session) {
        session.socket.on('data', (chunk) => {
            session.lines += chunk.toString('latin1');
            for (let at; (at = session.lines.indexOf('\r\n')) >= 0;) {
                const line = session.lines.slice(0, at);
                session.lines = session.lines.slice(at + 2);
                if (session.data === null) command(session, line);
                else content(session, line);
            }
        });
    }
    function content(session, line) {
        if (line !== '.') {
            session.data += `${line.startsWith('.') ? line.slice(1) : line}\r\n`;
            return;
        }
        const raw = Buffer.from(session.data, 'latin1').toString('utf8');
        session.data = null;
        if (sink.plan?.('end', session.n) === undefined)
            mails.push({ ...parseMail(raw), raw, envelope: { from: session.from, to: session.to }, isTls: session.isTls, user: session.user });
        reply(session, 'end', '250 taken');
    }
    function command(session, line) {
        sink.log.push(line);
        const [verb] = line.toUpperCase().split(/[ :]/);
        if (session.asks) return session.asks(line);
        if (verb === 'EHLO') {
            session.helo = line.slice(5);
            const offers = ['sink.test', ...(tls && !session.isTls ? ['STARTTLS'] : []), ...(user && (!tls || session.isTls) ? ['AUTH PLAIN LOGIN'] : []), '8BITMIME'];
            say(session, offers.map((one, i) => `250${i < offers.length - 1 ? '-' : ' '}${one}`).join('\r\n'));
        } else if (verb === 'STARTTLS' && tls) {
            say(session, '220 go on');
            session.socket.removeAllListeners('data');
            session.socket = new TLSSocket(session.socket, { isServer: true, ...tls });
            session.socket.on('error', () => {});
            session.isTls = true;
            listen(session);
        } else if (verb === 'AUTH') {
            const judge = (given) => {
                session.asks = null;
                session.authed = given === `\0${user}\0${password}`;
                session.user = user;
                say(session, session.authed ? '235 welcome' : '535 5.7.8 no');
            };
            const inline = line.split(' ')[2];
            if (inline) judge(Buffer.from(inline, 'base64').toString());
            else {
                session.asks = (answer) => judge(Buffer.from(answer, 'base64').toString());
                say(session, '334 ');
            }
        } else if (verb === 'MAIL') {
            if (!session.authed) return say(session, '530 5.7.0 authenticate first');
            session.from = /<(.*?)>/.exec(line)[1];
            session.to = [];
            reply(session, 'mail', '250 ok');
        } else if (verb === 'RCPT') {
            if (reply(session, 'rcpt', '250 ok')) session.to.push(/<(.*?)>/.exec(line)[1]);
        } else if (verb === 'DATA') {
            if (reply(session, 'data', '354 go on')) session.data = '';
        } else if (verb === 'QUIT') {
            say(session, '221 bye');
            session.socket.end();
        } else {
            say(session, '250 ok');
        }
    }

    await new Promise((resolve) => server.listen(0, host, resolve));
    const { port } = server.address();
    return Object.assign(sink, {
        port,
        url: `smtp://127.0.0.1:${port}`,
        close: () => new Promise((resolve) => { server.close(resolve); for (const socket of sockets) socket.destroy(); }),
    });
}

/** Takes POSTs as an e-mail provider does: {url, mails, next(), count(), requests, plan, close()}; plan(n) may give a status. */
export async function startProvider() {
    const mails = [];
    const provider = { ...waiting(mails), requests: [], plan: null };
    const server = createHttp((req, res) => {
        let text = '';
        req.setEncoding('utf8').on('data', (chunk) => (text += chunk));
        req.on('end', () => {
            const body = JSON.parse(text);
            provider.requests.push({ method: req.method, headers: req.headers, body });
            const status = provider.plan?.(provider.requests.length) ?? 200;
            if (status === 200) mails.push(readMail({ ...body, to: body.to.join() }));
            res.writeHead(status, { 'content-type': 'application/json' });
            res.end(JSON.stringify(status === 200 ? { id: 'made-up' } : { name: 'error', message: 'no' }));
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return Object.assign(provider, {
        url: `http://127.0.0.1:${server.address().port}/emails`,
        close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }),
    });
}
