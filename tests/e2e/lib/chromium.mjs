// Debian's Chromium, scripts disabled, as a person uses it: every page is looked at in four ways, and whatever its console says is kept.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const deadline = 90_000; // two busy cores, the program under a sanitizer
const looks = [1280, 390].flatMap((width) => ['light', 'dark'].map((scheme) => ({ width, scheme })));

/** What cannot be read or reached on the page as it is shown now. Runs in the page. */
function findFaults() {
    const faults = [];
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > width) faults.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${width}`);
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const light = (color) => {
        const [r, g, b] = channels(color).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (channels(color)[3] !== 0) return color;
        }
        return 'rgb(255, 255, 255)';
    };
    const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
    for (const element of document.body.querySelectorAll('*')) {
        const box = element.getBoundingClientRect();
        if (box.width === 0 || box.height === 0 || !element.checkVisibility()) continue;
        const what = `<${element.localName}> "${element.textContent.trim().slice(0, 40)}"`;
        if (box.right > width + 1 || box.left < -1) faults.push(`${what} reaches from ${box.left} to ${box.right}`);
        const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
        const ratio = contrast(getComputedStyle(element).color, ground(element));
        if ((hasText || element.localName === 'input') && ratio < 4.5) faults.push(`${what} has a contrast of ${ratio.toFixed(2)}`);
        const isControl = element.matches('input:not([type=radio]), button, .button, summary');
        if (isControl && box.height < 40) faults.push(`${what} is only ${box.height} high`);
        if (element.matches('input:not([type=hidden])') && !element.labels.length) faults.push(`${what} has no label`);
    }
    return faults;
}

/** A person's browser: its own cookies; `complaints` grows by whatever a console says. */
class Person {
    constructor(context) {
        this.context = context;
        this.complaints = [];
    }

    async page() {
        const page = await this.context.newPage();
        page.setDefaultTimeout(deadline);
        page.on('console', (message) => {
            // Chromium says of every answer from 400 on that loading failed; the tests look at the status themselves.
            const isStatus = /^Failed to load resource: the server responded with a status of 4\d\d/.test(message.text());
            // The test was in a field before Chromium drew the page and came to its autofocus: true of the test, not of the page.
            if (message.text().startsWith('Autofocus processing was blocked because a document already has a focused element')) return;
            if (!(isStatus && message.location().url === page.url())) this.complaints.push(`${page.url()}: ${message.text()}`);
        });
        page.on('pageerror', (error) => this.complaints.push(`${page.url()}: ${error}`));
        return page;
    }

    assertQuiet() {
        assert.deepEqual(this.complaints, []);
    }

    /** Sees the page as desktop and phone, light and dark. With SCREENSHOTS=FOLDER pictures are kept there. */
    async look(page, name) {
        for (const { width, scheme } of looks) {
            await page.setViewportSize({ width, height: 800 });
            await page.emulateMedia({ colorScheme: scheme });
            assert.deepEqual(await page.evaluate(findFaults), [], `${name} at ${width} px, ${scheme}`);
            if (!process.env.SCREENSHOTS) continue;
            mkdirSync(process.env.SCREENSHOTS, { recursive: true });
            await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}-${width}-${scheme}.png`), fullPage: true });
        }
        await page.setViewportSize({ width: 1280, height: 800 });
        assert.equal(await page.getAttribute('html', 'lang'), 'en');
        assert.equal(await page.locator('h1').count(), 1, `${name} has one heading`);
        this.assertQuiet();
    }
}

/** The browser: {newPerson(), close()}. */
export async function startChromium() {
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: ['--no-sandbox', '--disable-dev-shm-usage', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1'],
        timeout: deadline,
    });
    return {
        close: () => browser.close(),
        /** scripts: for what no page can do without (passkeys). */
        newPerson: async ({ scripts = false } = {}) => new Person(await browser.newContext({ javaScriptEnabled: scripts, locale: 'en-US' })),
    };
}
