import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { soundPart } from '../../../server/sound';
import { askEverything, checkPositions } from './everything';
import { facts, header, recipe, sample } from './fixture';
import { corpus, edits } from './fuzz';

/** The sample recipe's model is known, so that every function does all it can. */
const known = facts({ checkpoints: new Map([['checkpoints/tiny-llama-pydoc', { state: 'read', header: header() }]]) });
const ask = (text: string, offset: number): void => askEverything(text, offset, known);

describe('every function answers', function () {
    this.timeout(180_000);

    it('on every beginning of the sample recipe', () => {
        for (let end = 0; end <= sample.length; end++) ask(sample.slice(0, end), end);
    });

    it('on the sample recipe without one of its characters', () => {
        for (let index = 0; index < sample.length; index += 5) ask(sample.slice(0, index) + sample.slice(index + 1), index);
    });

    it('with a character too many that means something in YAML', () => {
        for (const character of '\t"\'[]{}:,-?&*!|>%@`#\u0000\uFEFF') {
            for (let index = 0; index < sample.length; index += 29) ask(sample.slice(0, index) + character + sample.slice(index), index);
        }
    });

    it('on the recipes of the corpus with a line that was moved, joined or cut, and always reads something that is YAML', () => {
        for (const file of readdirSync(path.resolve('test/corpus')).filter((name) => name.endsWith('.quant.yaml'))) {
            const lines = readFileSync(path.resolve('test/corpus', file), 'utf8').split('\n');
            lines.forEach((line, index) => {
                [` ${line}`, `   ${line}`, line.replace(/^ {1,3}/, ''), `\t${line}`, line.replace(': ', ':'), line.replace('- ', '-'), line.slice(0, line.length / 2), `- ${line}`].forEach((changed, kind) => {
                    if (changed === line) return;
                    const text = lines.with(index, changed).join('\n');
                    if (index % 8 === kind) ask(text, 0);
                    const { recipe: readable, faults } = soundPart(recipe(text));
                    if (readable.errors.length > 0 || readable.text.length !== text.length) throw new Error(`${file}:${index + 1} ${JSON.stringify(changed)}`);
                    for (const { span: { start, end } } of faults) if (!(0 <= start && start <= end && end <= text.length)) throw new Error(`${file}:${index + 1} ${start} ${end}`);
                });
            });
        }
    });

    it('with positions that are looked at', () => {
        const at = (line: number, character: number): object => ({ line, character });
        const lines = ['abc', ''];
        for (const answer of [{ range: { start: at(0, 0), end: at(1, 0) } }, [{ deep: [at(0, 3)] }], { startLine: 0, endLine: 1 }, null]) checkPositions(answer, 'x', lines);
        for (const answer of [{ range: { start: at(0, 2), end: at(0, 1) } }, [{ deep: [at(0, 4)] }], at(2, 0), at(-1, 0), { startLine: 1, endLine: 0 }, { startLine: 0, endLine: 2 }]) {
            assert.throws(() => checkPositions(answer, 'x', lines), /outside a text of 2 lines/);
        }
    });

    it('on recipes of the corpus after any edit of one character, and cut off anywhere, with positions inside the text (npm run fuzz makes more)', async () => {
        for (const { file, text, offset, facts: known } of edits(await corpus(), 2500, 1)) {
            try {
                askEverything(text, offset, known);
            } catch (error) {
                throw new Error(`${file}, ${JSON.stringify(text)}: ${String(error)}`, { cause: error });
            }
        }
    });

    it('on its own source, which is no recipe', () => {
        const source = readFileSync(path.resolve('test/unit/server/robust.test.ts'), 'utf8');
        ask(source, 300);
    });
});
