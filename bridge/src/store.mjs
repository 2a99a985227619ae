// What is kept between runs, one file per server: tokens and the client's registration. Shared by all bridges of one user.
import { createHash, randomUUID } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, openSync, closeSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const HEARTBEAT_MS = 2_000; // a lock is touched this often while it is held
const STALE_MS = 15_000; // an untouched lock this old belongs to nobody any more
const POLL_MS = 100;

const isGone = (error) => error.code === 'ENOENT';

/** Windows refuses to replace a file that somebody is reading just now. */
function renameOver(from, to) {
    for (let attempt = 0; ; attempt++) {
        try {
            return renameSync(from, to);
        } catch (error) {
            if (attempt === 20 || !['EPERM', 'EACCES', 'EBUSY'].includes(error.code)) throw error;
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25);
        }
    }
}

export class Store {
    constructor(dir, url) {
        this.dir = dir;
        this.path = join(dir, `${createHash('sha256').update(url.href).digest('hex').slice(0, 32)}.json`);
        this.lockPath = `${this.path}.lock`;
        this.url = url.href;
    }

    prepare() {
        mkdirSync(this.dir, { recursive: true, mode: 0o700 });
    }

    /** {} when there is nothing, or nothing that can be read. */
    read() {
        try {
            const data = JSON.parse(readFileSync(this.path, 'utf8'));
            return data?.url === this.url ? data : {};
        } catch (error) {
            if (isGone(error) || error instanceof SyntaxError) return {};
            throw error;
        }
    }

    /** Replaces the file as a whole: a reader sees the old one or the new one. */
    write(data) {
        this.prepare();
        const draft = `${this.path}.${randomUUID()}`;
        writeFileSync(draft, JSON.stringify({ ...data, url: this.url }, null, 2), { mode: 0o600, flag: 'wx' });
        chmodSync(draft, 0o600); // whatever the umask says
        try {
            renameOver(draft, this.path);
        } catch (error) {
            rmSync(draft, { force: true });
            throw error;
        }
    }

    change(fields) {
        this.write({ ...this.read(), ...fields });
    }

    clear() {
        rmSync(this.path, { force: true });
    }

    /** Waits for the lock; the function to let go of it. */
    async lock() {
        this.prepare();
        const mark = randomUUID();
        while (!this.#lockMake(mark)) {
            this.#lockBreak();
            await sleep(POLL_MS);
        }
        const heart = setInterval(() => {
            try {
                const now = new Date();
                if (readFileSync(this.lockPath, 'utf8') === mark) utimesSync(this.lockPath, now, now);
            } catch { /* somebody took it for stale: the next refresh sorts it out */ }
        }, HEARTBEAT_MS);
        heart.unref();
        return () => {
            clearInterval(heart);
            try {
                if (readFileSync(this.lockPath, 'utf8') === mark) unlinkSync(this.lockPath);
            } catch (error) {
                if (!isGone(error)) throw error;
            }
        };
    }

    #lockMake(mark) {
        let file;
        try {
            file = openSync(this.lockPath, 'wx', 0o600);
        } catch (error) {
            // Windows says EPERM or EACCES while the old file is being removed.
            if (['EEXIST', 'EPERM', 'EACCES'].includes(error.code)) return false;
            throw error;
        }
        writeSync(file, mark);
        closeSync(file);
        return true;
    }

    /** Removes a lock whose holder died. Two who see the same stale lock must not remove the fresh one of a third. */
    #lockBreak() {
        try {
            const before = readFileSync(this.lockPath, 'utf8');
            if (Date.now() - statSync(this.lockPath).mtimeMs < STALE_MS) return;
            const aside = `${this.lockPath}.${randomUUID()}`;
            renameSync(this.lockPath, aside);
            if (readFileSync(aside, 'utf8') !== before) {
                try {
                    linkSync(aside, this.lockPath);
                } catch { /* there is another one already */ }
            }
            unlinkSync(aside);
        } catch (error) {
            if (!isGone(error) && error.code !== 'EPERM' && error.code !== 'EACCES') throw error;
        }
    }
}
