import path from 'node:path';
import { stringify } from 'yaml';

export interface RecipeChoices {
    /** Absolute path of the recipe; paths in it become relative to its folder. */
    readonly recipe: string;
    readonly checkpoint: string;
    readonly output: string;
    readonly candidates: readonly string[];
    readonly defaultUse: string;
    readonly calibration: string | undefined;
    /** Whether a candidate cannot do without calibration data. */
    readonly needsCalibration: boolean;
    readonly heldOut: string | undefined;
    /** The model's maximum of tokens; null when unknown. */
    readonly maximumTokens: number | null;
}

const USUAL_TOKENS = 2048;

/** A commented recipe. What could not be found is written as a name that does not exist yet, so that the diagnostics point at it. */
export function recipeText(choices: RecipeChoices): string {
    const relative = (file: string): string => scalar(relativePath(path.dirname(choices.recipe), file));
    const tokens = Math.min(USUAL_TOKENS, choices.maximumTokens ?? USUAL_TOKENS);
    return `# Quantization recipe. Paths are relative to this file.
model: ${relative(choices.checkpoint)}

${calibration(choices.calibration === undefined ? undefined : relative(choices.calibration), tokens, choices.needsCalibration)}
# Compared on every layer, in one pass.
candidates:
${choices.candidates.map((label) => `  - ${scalar(label)}\n`).join('')}
quantize:
  default: ${scalar(choices.defaultUse)}
  # Exceptions; the first rule that matches a layer wins.
  # rules:
  #   - layers: "*.mlp.down_proj"
  #     use: none

${evaluation(choices.heldOut === undefined ? undefined : relative(choices.heldOut), tokens)}
# The quantized checkpoint; this folder must not exist yet.
output: ${relative(choices.output)}
# GPTQ's own format instead of compressed-tensors; it alone can store GPTQ's dynamic act-order (actorder: group).
# output_format: gptq
`;
}

function calibration(data: string | undefined, tokens: number, isNeeded: boolean): string {
    const hint = ' # write one {"text": "…"} object on each line, or name your own file';
    const lines = ['calibration:', `  data: ${data ?? `calibration.jsonl${hint}`}`, '  samples: 128', `  sequence_length: ${tokens}`, '  seed: 0'];
    if (data !== undefined || isNeeded) return `# Text that shows the methods what the layers' inputs look like.\n${lines.join('\n')}\n`;
    const comment = '# None of the candidates needs calibration data: weights are read once, and compared by themselves. With text, layers are compared by their outputs.';
    return `${comment}\n${lines.map((line) => `# ${line}`).join('\n')}\n`;
}

function evaluation(data: string | undefined, tokens: number): string {
    const lines = [`evaluate:`, `  data: ${data ?? 'held-out.txt'}`, `  samples: 64`, `  sequence_length: ${tokens}`];
    const comment = '# Perplexity and KL divergence before and after, on text that calibration never saw.';
    const shown = data === undefined ? lines.map((line) => `# ${line}`) : lines;
    return `${comment}\n${shown.join('\n')}\n`;
}

/** With forward slashes; absolute only where no relative path exists (another Windows drive). */
export function relativePath(from: string, to: string): string {
    const relative = path.relative(from, to) || '.';
    return relative.split(path.sep).join('/');
}

/** A YAML scalar, quoted only where it must be. */
function scalar(text: string): string {
    return stringify(text, { lineWidth: 0 }).trimEnd();
}
