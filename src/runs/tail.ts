import { open } from 'node:fs/promises';

const CHUNK = 1 << 16;
const NEWLINE = 0x0a;

/** Reads what was appended to a file of lines since the last time; a line counts once its end is written. */
export class LineTail {
    private offset = 0;
    private rest = Buffer.alloc(0);

    constructor(private readonly file: string) {}

    /**
     * The lines completed since the last call, in order. `restarted`: the file was replaced by a shorter one and is read from its start, so
     * what was collected from it before is void.
     */
    async read(): Promise<{ readonly lines: readonly string[]; readonly restarted: boolean }> {
        let handle;
        try {
            handle = await open(this.file, 'r');
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
            return { lines: [], restarted: this.reset() };
        }
        try {
            const { size } = await handle.stat();
            const restarted = size < this.offset && this.reset();
            const chunks = [this.rest];
            while (this.offset < size) {
                const { bytesRead, buffer } = await handle.read(Buffer.alloc(Math.min(CHUNK, size - this.offset)), 0, undefined, this.offset);
                if (bytesRead === 0) break;
                this.offset += bytesRead;
                chunks.push(buffer.subarray(0, bytesRead));
            }
            return { lines: this.split(Buffer.concat(chunks)), restarted };
        } finally {
            await handle.close();
        }
    }

    /** Bytes are kept until their line is whole: a character may have arrived in two halves. */
    private split(bytes: Buffer): string[] {
        const end = bytes.lastIndexOf(NEWLINE);
        this.rest = Buffer.from(bytes.subarray(end + 1));
        return end < 0 ? [] : bytes.toString('utf8', 0, end).split('\n');
    }

    private reset(): boolean {
        const used = this.offset > 0;
        this.offset = 0;
        this.rest = Buffer.alloc(0);
        return used;
    }
}
