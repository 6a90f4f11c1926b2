import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { codeActions, fixAll } from '../../../server/actions';
import { complete, folderWanted } from '../../../server/complete';
import { definitions } from '../../../server/definition';
import { diagnostic } from '../../../server/diagnostic';
import { format } from '../../../server/format';
import { hover } from '../../../server/hover';
import { inlayHints } from '../../../server/inlay';
import { indentNewLine } from '../../../server/on-type';
import { rename, renameable, RenameError } from '../../../server/rename';
import { selectionRange } from '../../../server/selection';
import { semanticTokens } from '../../../server/semantic';
import { soundPart } from '../../../server/sound';
import { documentLinks, documentSymbols, foldingRanges } from '../../../server/structure';
import { validate } from '../../../server/validate';
import { facts, header, recipe, sample } from './fixture';

/** The sample recipe's model is known, so that every function does all it can. */
const known = facts({ checkpoints: new Map([['checkpoints/tiny-llama-pydoc', { state: 'read', header: header() }]]) });

/** Everything the server can be asked about a text, with the cursor at an offset. */
function askEverything(text: string, offset: number): void {
    const parsed = recipe(text);
    const findings = validate(parsed, known);
    const shown = findings.map((finding) => diagnostic(parsed, 'file:///r', finding, ''));
    for (const { range } of shown) {
        const isOrdered = range.start.line < range.end.line || (range.start.line === range.end.line && range.start.character <= range.end.character);
        if (!isOrdered || range.start.line < 0 || range.start.character < 0) throw new Error(`a diagnostic at ${JSON.stringify(range)}`);
    }
    codeActions(parsed, 'file:///r', findings, { start: 0, end: text.length }, (finding) => diagnostic(parsed, 'file:///r', finding, ''), known);
    fixAll(parsed, 'file:///r', findings);
    format(parsed);
    indentNewLine(parsed, offset);
    selectionRange(parsed, offset);
    definitions(parsed, offset, undefined);
    try {
        if (renameable(parsed, offset)) rename(parsed, offset, 'awq-w4a16');
    } catch (error) {
        if (!(error instanceof RenameError)) throw error;
    }
    for (const { start, end } of semanticTokens(parsed, known)) if (!(0 <= start && start < end && end <= text.length)) throw new Error(`a token at ${start}`);
    folderWanted(parsed, offset);
    complete(parsed, offset, known);
    hover(parsed, offset, known);
    inlayHints(parsed, known);
    documentSymbols(parsed);
    foldingRanges(parsed);
    documentLinks(parsed, () => undefined);
}

describe('every function answers', function () {
    this.timeout(240_000);

    it('on every beginning of the sample recipe', () => {
        for (let end = 0; end <= sample.length; end++) askEverything(sample.slice(0, end), end);
    });

    it('on the sample recipe without one of its characters', () => {
        for (let index = 0; index < sample.length; index += 5) askEverything(sample.slice(0, index) + sample.slice(index + 1), index);
    });

    it('with a character too many that means something in YAML', () => {
        for (const character of '\t"\'[]{}:,-?&*!|>%@`#\u0000\uFEFF') {
            for (let index = 0; index < sample.length; index += 29) askEverything(sample.slice(0, index) + character + sample.slice(index), index);
        }
    });

    it('on the recipes of the corpus with a line that was moved, joined or cut, and always reads something that is YAML', () => {
        for (const file of readdirSync(path.resolve('test/corpus')).filter((name) => name.endsWith('.quant.yaml'))) {
            const lines = readFileSync(path.resolve('test/corpus', file), 'utf8').split('\n');
            lines.forEach((line, index) => {
                [` ${line}`, `   ${line}`, line.replace(/^ {1,3}/, ''), `\t${line}`, line.replace(': ', ':'), line.replace('- ', '-'), line.slice(0, line.length / 2), `- ${line}`].forEach((changed, kind) => {
                    if (changed === line) return;
                    const text = lines.with(index, changed).join('\n');
                    if (index % 8 === kind) askEverything(text, 0);
                    const { recipe: readable, faults } = soundPart(recipe(text));
                    if (readable.errors.length > 0 || readable.text.length !== text.length) throw new Error(`${file}:${index + 1} ${JSON.stringify(changed)}`);
                    for (const { span: { start, end } } of faults) if (!(0 <= start && start <= end && end <= text.length)) throw new Error(`${file}:${index + 1} ${start} ${end}`);
                });
            });
        }
    });

    it('on its own source, which is no recipe', () => {
        const source = readFileSync(path.resolve('test/unit/server/robust.test.ts'), 'utf8');
        askEverything(source, 300);
    });
});
