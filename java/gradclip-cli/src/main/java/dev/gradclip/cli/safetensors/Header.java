// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import java.util.List;

/**
 * A header that was read and found consistent.
 *
 * @param bytes the file's bytes up to the first tensor, verbatim: length and JSON
 * @param tensors in the order of their data
 * @param dataBytes how many bytes of tensors follow
 */
@SuppressWarnings("ArrayRecordComponent") // 100 MB at most, never compared
public record Header(byte[] bytes, List<TensorEntry> tensors, long dataBytes) {}
