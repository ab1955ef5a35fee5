#!/usr/bin/env node
// The client against the gateway and its sandbox provider.

import { run } from '../../fakes/tap.mjs';
import {
  Session,
  settings,
  testGenerations,
  testJobs,
  testKeys,
  testLinks,
  testModels,
  testRates,
  testStreams,
} from './client-tests.mjs';
import { testEditLimits, testEditStreams, testEdits, testJsonEdits } from './edit-tests.mjs';

const session = new Session(settings({ model: 'sandbox', sizes: '1024x1024,64x64,256x512' }));

testModels(session);
testGenerations(session, ['b64_json', 'url']);
testStreams(session);
testEdits(session);
testEditStreams(session);
testJsonEdits(session);
testEditLimits(session);
testJobs(session);
testKeys(session);
testRates(session);
testLinks(session, ['sandbox']);
await run();
