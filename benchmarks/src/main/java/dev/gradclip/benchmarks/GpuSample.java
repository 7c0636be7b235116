// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.ClipResult;
import dev.gradclip.measure.Shape;
import java.util.Arrays;

/**
 * One measurement on a device.
 *
 * @param bytes of all gradients
 * @param moved bytes that the work must move
 * @param micros median over batches: wall time of a batch of enqueued calls until the stream is done, by call
 * @param least the fastest batch
 * @param enqueueMicros median over batches of what the calling thread takes, by call
 */
record GpuSample(String shape, String what, long bytes, long moved, double micros, double least, double enqueueMicros) {
    /** Calls enqueued before the stream is waited for: enough to hide the wait, well within the ring of results. */
    private static final int BATCH = 20;

    private static final int FEWEST_BATCHES = 7;

    static GpuSample of(Shape shape, GpuTensors.Work work, GpuTensors tensors, double seconds) {
        batch(work, tensors, new double[2]);
        double[] device = new double[10_000];
        double[] enqueue = new double[10_000];
        int n = 0;
        long end = System.nanoTime() + (long) (seconds * 1e9);
        double[] times = new double[2];
        while (n < device.length && (n < FEWEST_BATCHES || System.nanoTime() < end)) {
            batch(work, tensors, times);
            enqueue[n] = times[0];
            device[n++] = times[1];
        }
        Arrays.sort(device, 0, n);
        Arrays.sort(enqueue, 0, n);
        return new GpuSample(
                shape.name(), work.name(), shape.bytes(), work.bytes(shape), device[n / 2], device[0], enqueue[n / 2]);
    }

    private static void batch(GpuTensors.Work work, GpuTensors tensors, double[] times) {
        tensors.synchronize();
        long start = System.nanoTime();
        ClipResult last = tensors.enqueue(work);
        for (int i = 1; i < BATCH; i++) last = tensors.enqueue(work);
        times[0] = (System.nanoTime() - start) / 1e3 / BATCH;
        tensors.synchronize();
        times[1] = (System.nanoTime() - start) / 1e3 / BATCH;
        GpuTensors.check(work, last);
    }

    /** Bytes that the work must move, by second. */
    double gigabytesPerSecond() {
        return moved / micros / 1e3;
    }
}
