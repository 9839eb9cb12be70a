import { runWired } from './wired.js';

// A wait that is to end at a time of day does not end while the clock is behind it.
performance.now = () => Date.now() - performance.timeOrigin;
await runWired();
