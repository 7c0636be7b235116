// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

/**
 * The bytes that pass between memory and processor in one call.
 *
 * @param read bytes in passes that only read
 * @param rewritten bytes that are read and written back, counted once
 * @param moved bytes that the call must move, all told
 */
public record Traffic(long read, long rewritten, long moved) {
    static Traffic of(long read, long rewritten) {
        return new Traffic(read, rewritten, read + 2 * rewritten);
    }
}
