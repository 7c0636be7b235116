// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

/**
 * A sequence and its class.
 *
 * @param steps one vector a step
 * @param label the class, from 0
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Example(float[][] steps, int label) {}
