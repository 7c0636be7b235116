// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/** A named run of tensors: {@code [from, to)} in the order bound. */
record Group(int from, int to) {}
