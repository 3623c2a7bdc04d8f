/** The sign-in page is plain HTML; only the choice of light or dark comes from here. */

import { startTheme } from './theme.js';

startTheme();
