import { RequestType } from 'vscode-jsonrpc';
import type { Checkpoint, Devices, Hello, HelloParams, InspectParams, Unloaded } from './generated/protocol';

/** Messages of the resident engine, typed once. The engine's side is `engine/quant_engine/protocol.py`. */
export const PROTOCOL_VERSION = 1;

export const helloRequest = new RequestType<HelloParams, Hello, void>('hello');
export const devicesRequest = new RequestType<Record<string, never>, Devices, void>('devices');
export const inspectRequest = new RequestType<InspectParams, Checkpoint, void>('inspect');
export const unloadRequest = new RequestType<Record<string, never>, Unloaded, void>('unload');
export const shutdownRequest = new RequestType<Record<string, never>, null, void>('shutdown');
