/** A recipe with six mistakes that are none of the syntax. */
export const mistaken = `model: tiny
calibration:
  data: c.txt
  sequence_length: 9999
candidates:
  - gptq-w3a16-g32
  - nope
  - rtn-w4a16-g32
quantize:
  default: gptq-w4a16-g32
  rules:
    - layers: "*.nothing"
      use: none
    - layers: "*.o_proj"
      use: nonee
    - { layers: lm_head, use: none }
  budgett: 3
evaluate: { data: c.txt, sampels: 3 }
output: out
`;

const BROKEN = [
    '---', '...', '&a', '!a', '*a', '@a', '`a: 3', 'word', 'two words', '- ', '-x', '- "x', '- {', '- [', '{', '[', '}', ']', ', x', '"', '\'', '"a: b', '? a', ': a', '>', '|', '%a', 'key: [', 'key: {', 'key: "', 'a: b: c',
];

/** The recipe with a broken line behind each of its lines, as deep as the levels are. */
export function changedTexts(): { readonly text: string; readonly line: number; readonly written: string }[] {
    const lines = mistaken.split('\n').slice(0, -1);
    return BROKEN.flatMap((broken) => lines.flatMap((_, index) => [0, 2, 4].map((depth) => {
        const written = ' '.repeat(depth) + broken;
        return { text: [...lines.toSpliced(index + 1, 0, written), ''].join('\n'), line: index + 1, written };
    })));
}

/** The recipe without each of its characters, with one that means something in YAML before each, and without each of its lines. */
export function damagedTexts(): string[] {
    const lines = mistaken.split('\n');
    const places = Array.from({ length: mistaken.length }, (_, index) => index);
    return [
        ...places.map((index) => mistaken.slice(0, index) + mistaken.slice(index + 1)),
        ...[...'\t"\'[]{}:,-?&*!|>@`%#\n'].flatMap((character) => places.map((index) => mistaken.slice(0, index) + character + mistaken.slice(index))),
        ...lines.flatMap((line, index) => [lines.toSpliced(index, 1).join('\n'), lines.toSpliced(index, 0, line).join('\n')]),
    ];
}
