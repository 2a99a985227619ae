// A browser without a screen: cookies, redirects, and the forms of server-rendered pages, without running any script.
import assert from 'node:assert/strict';
import { send } from './http.mjs';

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#91': '[', '#93': ']' };
export const decode = (text) => text.replaceAll(/&(#?\w+);/g, (all, name) => entities[name] ?? all);

/** Where an answer sends the browser: a redirect, or a page that goes on by itself (addresses too long for a header). */
export function onward(page) {
    if (page.status === 303 || page.status === 302) return page.headers.location;
    const refresh = /<meta http-equiv="refresh" content="0;url=([^"]*)">/.exec(page.html)?.[1];
    return refresh && decode(refresh);
}

/** One page: its answer, and its forms as {action, fields}. */
class Page {
    constructor(url, answer) {
        Object.assign(this, { url, path: new URL(url).pathname, status: answer.status, headers: answer.headers, html: answer.text });
    }

    /** What a person reads. */
    get text() {
        return decode(this.html.replaceAll(/<[^>]*>/g, ' ')).replaceAll(/\s+/g, ' ').trim();
    }

    forms() {
        return [...this.html.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gs)].map(([, head, body]) => ({
            action: decode(/action="([^"]*)"/.exec(head)?.[1] ?? this.path),
            fields: Object.fromEntries([...body.matchAll(/<input\b([^>]*)>/g)].map(([, input]) =>
                [/name="([^"]*)"/.exec(input)?.[1], decode(/value="([^"]*)"/.exec(input)?.[1] ?? '')])),
        }));
    }

    /** The form that leads to `action` (and has these field values). */
    form(action, having = {}) {
        const found = this.forms().find((form) => form.action === action &&
            Object.entries(having).every(([name, value]) => form.fields[name] === value));
        assert.ok(found, `no form for ${action} at ${this.url}:\n${this.html}`);
        return found;
    }
}

export class Browser {
    constructor(origin) {
        this.origin = origin;
        this.jar = new Map();
    }

    cookies() {
        return [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
    }

    keep(answer) {
        for (const line of answer.headers['set-cookie'] ?? []) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
            if (/max-age=0/i.test(line)) this.jar.delete(name);
            else this.jar.set(name, value);
        }
    }

    /** One request as a browser sends it, redirects not followed. */
    async request(path, { method = 'GET', body, headers = {} } = {}) {
        const url = new URL(path, this.origin);
        const answer = await send(url, {
            method,
            body,
            headers: {
                ...(this.jar.size && { cookie: this.cookies() }),
                ...(method === 'POST' && { origin: this.origin, 'content-type': 'application/x-www-form-urlencoded' }),
                ...headers,
            },
        });
        this.keep(answer);
        return new Page(url.href, answer);
    }

    async follow(page) {
        for (let i = 0; onward(page); i++) {
            assert.ok(i < 10, 'too many redirects');
            const to = new URL(onward(page), page.url);
            assert.equal(to.origin, new URL(this.origin).origin, 'a redirect stays here');
            page = await this.request(to.pathname + to.search);
        }
        return (this.page = page);
    }

    async open(path) {
        return this.follow(await this.request(path));
    }

    /** Fills in and sends the form of the present page. */
    async submit(action, values = {}, options = {}) {
        const { fields } = this.page.form(action, options.having);
        const body = new URLSearchParams({ ...fields, ...values }).toString();
        return this.follow(await this.request(action, { method: 'POST', body, headers: options.headers }));
    }

    async signIn(email, password) {
        await this.open('/login');
        return this.submit('/login', { email, password });
    }

    async session() {
        return JSON.parse((await this.request('/api/session')).html);
    }
}
