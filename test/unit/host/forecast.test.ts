import assert from 'node:assert/strict';
import type { Preflight } from '../../../protocol/generated/protocol';
import { forecastMarkdown, parseForecast } from '../../../src/runs/forecast';

const found = {
    recipe: 'a.quant.yaml', model: '/m', architecture: 'LlamaForCausalLM', device: { id: 'cpu', name: 'CPU, 2 cores' }, original_bytes: 8_984_064,
    output: { tensor_bytes: 4_287_024, bits_per_weight: 5.0774, exact: false, least: { tensor_bytes: 3_000_000, bits_per_weight: 3.125 }, most: null },
    phases: [{ phase: 'measure', seconds: 4.25, host_bytes: 500e6, device_bytes: 1e9 }, { phase: 'quantize', seconds: 7500, host_bytes: 400e6, device_bytes: null }],
    seconds: 7504, host_bytes: 500e6, device_bytes: 1e9, disks: [{ what: 'output', path: '/out', needed_bytes: 4.4e6, free_bytes: 1e12 }],
    findings: [{ severity: 'warning', line: 3, message: 'a | b', advice: 'Do it.' }],
} as unknown as Preflight;

describe('an estimate', () => {
    it('shows sizes, phases, disks and what stands in the way', () => {
        const shown = forecastMarkdown('a.quant.yaml', found);
        for (const part of [
            '| Original | 9.0 MB |  |', '| Output, likely choice | 4.3 MB | 5.077 |', '| Smallest choice | 3.0 MB | 3.125 |', '| measure | 4.3 s | 500 MB | 1.0 GB |',
            '| quantize | 2 h 05 min | 400 MB |  |', '| **All** | 2 h 05 min | 500 MB | 1.0 GB |', '- Disk for output: 4.4 MB needed, 1.0 TB free', '- Line 3: warning: a \\| b. Do it.',
        ]) assert.ok(shown.includes(part), `${part} in\n${shown}`);
    });

    it('has no column for a GPU that is not there', () => {
        assert.ok(!forecastMarkdown('a', { ...found, device_bytes: null }).includes('GPU'));
    });

    it('is read from what the engine prints, and from nothing else', () => {
        assert.deepEqual(parseForecast(JSON.stringify(found)), found);
        for (const text of ['', 'Traceback', '[]', '{"error": {}}']) assert.equal(parseForecast(text), undefined, text);
    });
});
