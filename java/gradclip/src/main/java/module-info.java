// SPDX-License-Identifier: Apache-2.0
/**
 * Gradient clipping by norm and by value, in place, with the same bits on every backend.
 *
 * @since 0.1.0
 */
module dev.gradclip {
    requires jdk.jfr;
    requires static org.jspecify;

    exports dev.gradclip;
    exports dev.gradclip.adapter;
}
