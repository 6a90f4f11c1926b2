import assert from 'node:assert/strict';
import { eachEntry, NoObject } from '../../../protocol/json-entries';
import { Turns } from '../../../protocol/turns';

async function entries(text: string): Promise<[string, unknown][]> {
    const found: [string, unknown][] = [];
    await eachEntry(text, (key, value) => found.push([key, JSON.parse(value)]));
    return found;
}

describe('entries of a JSON object', () => {
    for (const text of [
        '{}', ' {\n} ', '{"a":1}', '{ "a" : "x,}" , "b":[1,{"c":"]"}],"d":{"e":{}} }\r\n', '{"\\"":"\\\\","\\u0041":"\\\\\\""}', '{"":null,"__proto__":[[],[{}]]}', '{"a": -1.5e3, "b": true}',
    ]) {
        it(`are those of JSON.parse: ${text}`, async () => assert.deepEqual(await entries(text), Object.entries(JSON.parse(text) as object)));
    }

    it('come twice where a key does', async () => assert.deepEqual(await entries('{"a":1,"a":2}'), [['a', 1], ['a', 2]]));

    for (const text of [
        '', '{', '{"a"', '{"a"}', '{"a":', '{"a":}', '{"a":1', '{"a":1,}', '{,}', '{a:1}', '{"a":1]', '{"a":[1}', '{"a":{"b":1}', '{"a":1}}', '{"a":1} x', '{"a:1}', '{"a":"\\"}', '{"a":1 2}', '{"a":"b" "c"}',
        'x', '\u00a0{}', '{"a":\u00a01}',
    ]) {
        it(`are refused where JSON.parse refuses: ${JSON.stringify(text)}`, async () => {
            assert.throws(() => JSON.parse(text) as unknown, SyntaxError);
            await assert.rejects(entries(text), SyntaxError);
        });
    }

    it('are not looked for in anything else', async () => {
        for (const text of ['[]', '1', '"{}"', 'null']) await assert.rejects(entries(text), NoObject);
    });
});

describe('turns', () => {
    it('are over when time has passed, and begin anew', async () => {
        let now = 0;
        const turns = new Turns(() => now);
        const over = (): number => Array.from({ length: 1000 }, () => turns.isOver()).filter(Boolean).length;
        assert.equal(over(), 0);
        now = 9;
        assert.ok(over() > 0);
        let others = 0;
        setImmediate(() => others++);
        await turns.next();
        assert.equal(others, 1, 'what waited came first');
        assert.equal(over(), 0);
    });
});
