// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.util.List;

/**
 * The images to learn and to be tested by, read row by row.
 *
 * @param source whose they are
 * @param rows of an image: the steps
 * @param columns of an image: what a step reads
 * @param classes how many labels there are
 */
record ImageSet(String source, int rows, int columns, int classes, List<Example> train, List<Example> test) {}
