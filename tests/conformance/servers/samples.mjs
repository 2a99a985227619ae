// The constants that the conformance suite compares or that its scenarios only carry around.

/** One red pixel, PNG. */
export const image = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
/** An empty WAV file. */
export const audio = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

const described = (type, description, more = {}) => ({ type, description, ...more });

const object = (properties, required = Object.keys(properties)) => ({ type: 'object', properties, required });

/** An elicitation by form. */
export const elicit = (message, properties, required) => ({
    method: 'elicitation/create',
    params: { mode: 'form', message, requestedSchema: object(properties, required) },
});

/** A sampling request. */
export const sample = (text, maxTokens = 100) => ({
    method: 'sampling/createMessage',
    params: { messages: [{ role: 'user', content: { type: 'text', text } }], maxTokens },
});

export const listRoots = () => ({ method: 'roots/list', params: {} });

/** A default for each primitive type (SEP-1034). */
export const formWithDefaults = elicit('Please review the form', {
    name: described('string', 'name', { default: 'John Doe' }),
    age: described('integer', 'age', { default: 30 }),
    score: described('number', 'score', { default: 95.5 }),
    status: described('string', 'status', { enum: ['active', 'inactive', 'pending'], default: 'active' }),
    verified: described('boolean', 'verified', { default: true }),
}, []);

const titled = (prefix) => ['First', 'Second', 'Third'].map((word, n) => ({ const: `${prefix}${n + 1}`, title: `${word} choice` }));
const options = ['option1', 'option2', 'option3'];

/** The five ways of saying an enumeration (SEP-1330). */
export const formWithEnums = elicit('Please choose', {
    untitledSingle: described('string', 'one of', { enum: options }),
    titledSingle: described('string', 'one of, with titles', { oneOf: titled('value') }),
    legacyEnum: described('string', 'one of, with names', { enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] }),
    untitledMulti: described('array', 'some of', { minItems: 1, maxItems: 3, items: { type: 'string', enum: options } }),
    titledMulti: described('array', 'some of, with titles', { minItems: 1, maxItems: 3, items: { anyOf: titled('value') } }),
}, []);

/** The input schema of json_schema_2020_12_tool (SEP-1613, SEP-2106). */
export const schema2020 = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    $defs: {
        address: { $anchor: 'addressDef', type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } },
    },
    properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
    },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
    then: { required: ['phone'] },
    else: { required: ['email'] },
    additionalProperties: false,
};

/** A parameter that clients repeat in a header (SEP-2243). */
export const headerSchema = {
    type: 'object',
    properties: { region: { type: 'string', 'x-mcp-header': 'Region' }, query: { type: 'string' } },
    required: ['region'],
};
