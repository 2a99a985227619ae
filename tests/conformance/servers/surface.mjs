// What the conformance suite asks a server to offer, registered alike through SDK v1 and SDK v2.
import { z } from 'zod';
import { setTimeout as sleep } from 'node:timers/promises';
import { audio, elicit, formWithDefaults, formWithEnums, headerSchema, image, listRoots, sample, schema2020 } from './samples.mjs';

const text = (value) => ({ content: [{ type: 'text', text: value }] });
const picture = { type: 'image', data: image, mimeType: 'image/png' };
const embedded = (uri, mimeType, value) => ({ type: 'resource', resource: { uri, mimeType, text: value } });

const log = (data) => ({ method: 'notifications/message', params: { level: 'info', logger: 'conformance', data } });

async function logThrice({ log: send }) {
    await send('Tool execution started');
    await sleep(50);
    await send('Tool processing data');
    await sleep(50);
    await send('Tool execution completed');
    return text('logged three times');
}

async function progress({ progressToken, notify }) {
    for (const value of [0, 50, 100]) {
        if (progressToken !== undefined)
            await notify({ method: 'notifications/progress', params: { progressToken, progress: value, total: 100, message: `${value} %` } });
        if (value < 100) await sleep(50);
    }
    return text(String(progressToken));
}

async function reconnect({ closeStream }) {
    closeStream?.();
    await sleep(100);
    return text('the client came back');
}

/** Tools that answer by themselves: name -> run(context, arguments). */
const plain = {
    test_simple_text: () => text('This is a simple text response for testing.'),
    test_image_content: () => ({ content: [picture] }),
    test_audio_content: () => ({ content: [{ type: 'audio', data: audio, mimeType: 'audio/wav' }] }),
    test_embedded_resource: () => ({
        content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
    }),
    test_multiple_content_types: () => ({
        content: [
            { type: 'text', text: 'Multiple content types test:' },
            picture,
            embedded('test://mixed-content-resource', 'application/json', JSON.stringify({ test: 'data', value: 123 })),
        ],
    }),
    test_tool_with_logging: logThrice,
    test_tool_with_progress: progress,
    test_reconnection: reconnect,
    test_error_handling: () => {
        throw new Error('This tool intentionally returns an error for testing');
    },
    test_logging_tool: async ({ log: send }) => {
        await send('one line of log');
        return text('logged once');
    },
    test_trigger_tool_change: ({ changed }) => {
        changed('tools');
        return text('the tools changed');
    },
    test_trigger_prompt_change: ({ changed }) => {
        changed('prompts');
        return text('the prompts changed');
    },
};

const accepted = (answer) => answer?.action === 'accept' ? answer.content : undefined;
const confirm = (state) => ({ ask: { confirm: elicit('Please confirm', { ok: { type: 'boolean' } }) }, state });

function multiRound({ answers, state }) {
    if (state?.step === 2 && accepted(answers.step2)) return text(`${state.name} likes ${answers.step2.content.color}`);
    const name = accepted(answers.step1)?.name;
    if (state?.step === 1 && name)
        return { ask: { step2: elicit('Step 2: What is your favorite color?', { color: { type: 'string' } }) }, state: { step: 2, name } };
    return { ask: { step1: elicit('Step 1: What is your name?', { name: { type: 'string' } }) }, state: { step: 1 } };
}

function multipleInputs({ answers, state }) {
    if (state && accepted(answers.user_name) && answers.greeting && answers.client_roots) return text('all three answered');
    return {
        ask: {
            user_name: elicit('What is your name?', { name: { type: 'string' } }),
            greeting: sample('Generate a greeting', 50),
            client_roots: listRoots(),
        },
        state: { asked: 3 },
    };
}

function onlyWhatTheClientCan({ answers, capabilities }) {
    if (answers.capital_question ?? answers.user_name) return text('answered');
    const ask = {};
    if (capabilities?.sampling) ask.capital_question = sample('What is the capital of France?');
    if (capabilities?.elicitation) ask.user_name = elicit('What is your name?', { name: { type: 'string' } });
    return Object.keys(ask).length > 0 ? { ask } : text('this client can do nothing');
}

/**
 * Tools that ask the client first: name -> play({answers, state, args, capabilities}), which gives {ask: {key: request}, state}
 * for another round or the result. SDK v2 speaks it as it is; for SDK v1 the rounds are requests to the client.
 */
const asking = {
    test_sampling: ({ answers, args }) =>
        answers.sample ? text(`LLM response: ${answers.sample.content?.text}`) : { ask: { sample: sample(args.prompt) } },
    test_elicitation: ({ answers, args }) => answers.user
        ? text(`User response: action=${answers.user.action}, content=${JSON.stringify(answers.user.content ?? {})}`)
        : { ask: { user: elicit(args.message, { username: { type: 'string', description: "User's response" }, email: { type: 'string', description: "User's email address" } }) } },
    test_elicitation_sep1034_defaults: ({ answers }) => answers.form
        ? text(`Elicitation completed: action=${answers.form.action}, content=${JSON.stringify(answers.form.content ?? {})}`)
        : { ask: { form: formWithDefaults } },
    test_elicitation_sep1330_enums: ({ answers }) => answers.form
        ? text(`Elicitation completed: action=${answers.form.action}, content=${JSON.stringify(answers.form.content ?? {})}`)
        : { ask: { form: formWithEnums } },
    // Asks whether the client can or not: the SDK must refuse.
    test_missing_capability: ({ answers }) =>
        answers.sample ? text('the client can sample') : { ask: { sample: sample('Can you?') } },
    test_streaming_elicitation: ({ answers }) =>
        answers.confirm ? text('confirmed') : confirm(),
    test_input_required_result_elicitation: ({ answers }) => {
        const name = accepted(answers.user_name)?.name;
        return typeof name === 'string'
            ? text(`Hello, ${name}!`)
            : { ask: { user_name: elicit('What is your name?', { name: { type: 'string' } }) } };
    },
    test_input_required_result_sampling: ({ answers }) => answers.capital_question
        ? text(answers.capital_question.content?.text ?? '')
        : { ask: { capital_question: sample('What is the capital of France?') } },
    test_input_required_result_list_roots: ({ answers }) => answers.client_roots
        ? text(`roots: ${(answers.client_roots.roots ?? []).map((root) => root.uri).join(', ')}`)
        : { ask: { client_roots: listRoots() } },
    test_input_required_result_request_state: ({ answers, state }) =>
        answers.confirm && state?.sealed ? text('state-ok') : confirm({ sealed: true }),
    test_input_required_result_tampered_state: ({ answers, state }) =>
        answers.confirm && state?.sealed ? text('the state was as we gave it') : confirm({ sealed: true }),
    test_input_required_result_multiple_inputs: multipleInputs,
    test_input_required_result_multi_round: multiRound,
    test_input_required_result_capabilities: onlyWhatTheClientCan,
};

const toolArguments = { test_sampling: { prompt: z.string() }, test_elicitation: { message: z.string() } };

function registerTools(server, kit) {
    const config = (name) => ({ description: `conformance tool ${name}`, inputSchema: z.object(toolArguments[name] ?? {}) });
    for (const [name, run] of Object.entries(plain))
        server.registerTool(name, config(name), async (args, extra) => run(kit.context(extra), args));
    for (const [name, play] of Object.entries(asking))
        server.registerTool(name, config(name), (args, extra) => kit.play(extra, (turn) => play({ ...turn, args })));
    // SDK v1 cannot offer a JSON Schema as it is.
    if (!kit.fromJsonSchema) return;
    const verbatim = (name, schema) =>
        server.registerTool(name, { description: `conformance tool ${name}`, inputSchema: kit.fromJsonSchema(schema) }, async (args) => text(JSON.stringify(args)));
    verbatim('json_schema_2020_12_tool', schema2020);
    verbatim('test_header_parameter', headerSchema);
}

function registerResources(server, kit) {
    const fixed = (name, uri, mimeType, content) =>
        server.registerResource(name, uri, { description: `conformance resource ${name}`, mimeType },
            async () => ({ contents: [{ uri, mimeType, ...content }] }));
    fixed('static-text', 'test://static-text', 'text/plain', { text: 'This is the content of the static text resource.' });
    fixed('static-binary', 'test://static-binary', 'image/png', { blob: image });
    fixed('watched-resource', 'test://watched-resource', 'text/plain', { text: 'Watched resource content' });
    server.registerResource('template', new kit.ResourceTemplate('test://template/{id}/data', { list: undefined }),
        { description: 'conformance resource template', mimeType: 'application/json' },
        async (uri, { id }) => ({
            contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }],
        }));
}

function registerPrompts(server, kit) {
    const says = (...contents) => ({ messages: contents.map((content) => ({ role: 'user', content })) });
    const line = (value) => ({ type: 'text', text: value });
    const prompt = (name, argsSchema, run) =>
        server.registerPrompt(name, { description: `conformance prompt ${name}`, ...(argsSchema && { argsSchema: kit.argsSchema(argsSchema) }) }, run);
    const words = ['paris', 'park', 'party'];
    const word = kit.completable(z.string(), (value) => words.filter((one) => one.startsWith(value ?? '')));

    prompt('test_simple_prompt', undefined, async () => says(line('This is a simple prompt for testing.')));
    prompt('test_prompt_with_arguments', { arg1: word, arg2: z.string() },
        async ({ arg1, arg2 }) => says(line(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)));
    prompt('test_prompt_with_embedded_resource', { resourceUri: z.string() }, async ({ resourceUri }) => says(
        embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.'), line('Please process the embedded resource above.')));
    prompt('test_prompt_with_image', undefined, async () => says(picture, line('Please analyze the image above.')));
    prompt('test_input_required_result_prompt', undefined, (extra) => kit.play(extra, ({ answers }) => {
        const context = accepted(answers.user_context)?.context;
        return context === undefined
            ? { ask: { user_context: elicit('What context should the prompt use?', { context: { type: 'string' } }) } }
            : says(line(`In the context of ${context}.`));
    }));
}

/** What both fixtures declare; the SDKs add what follows from the registrations. */
export const capabilities = { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, prompts: { listChanged: true }, logging: {}, completions: {} };

/**
 * Registers everything on an McpServer. `kit` is what differs between the SDK's versions: ResourceTemplate, completable,
 * argsSchema(shape), fromJsonSchema (v2 only), play(extra, turn) for tools that ask the client, and
 * context(extra) -> {progressToken, notify(message), log(text), closeStream, changed(list)}.
 */
export function register(server, kit) {
    registerTools(server, kit);
    registerResources(server, kit);
    registerPrompts(server, kit);
}

export { log };
