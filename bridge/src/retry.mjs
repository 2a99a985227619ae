// fetch() that waits for a server which is not there yet: only where the request cannot have arrived.
import { setTimeout as sleep } from 'node:timers/promises';

const notArrived = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'UND_ERR_CONNECT_TIMEOUT']);

/** The system's code of a failed fetch, which undici hides in its cause (or in several, one per address). */
export function codeOf(error) {
    const cause = error?.cause ?? error;
    return cause?.code ?? cause?.errors?.[0]?.code;
}

/** "connection refused" for people. */
export function reasonOf(error) {
    const cause = error?.cause ?? error;
    return cause?.errors?.[0]?.message ?? cause?.message ?? String(error);
}

/** Tries for `patienceMs` with growing, jittered pauses; `onWait` hears of the first. */
export function patientFetch({ patienceMs = 60_000, firstMs = 250, mostMs = 5_000, onWait = () => {}, baseFetch = fetch } = {}) {
    return async (input, init) => {
        const until = Date.now() + patienceMs;
        for (let attempt = 0; ; attempt++) {
            try {
                return await baseFetch(input, init);
            } catch (error) {
                const pause = Math.min(mostMs, firstMs * 2 ** attempt) * (0.5 + Math.random() / 2);
                if (init?.signal?.aborted || !notArrived.has(codeOf(error)) || Date.now() + pause > until) throw error;
                if (attempt === 0) onWait(error);
                await sleep(pause, undefined, { signal: init?.signal ?? undefined });
            }
        }
    };
}
