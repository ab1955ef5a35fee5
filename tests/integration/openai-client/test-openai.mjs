#!/usr/bin/env node
// The client against the gateway whose `openai` provider is the fake: pictures, errors, and the bill.

import { run } from '../../fakes/tap.mjs';
import {
  Session,
  settings,
  testBill,
  testBrokenReplies,
  testEmptyBill,
  testFailedJob,
  testGenerations,
  testJobs,
  testKeyErrors,
  testLinks,
  testModels,
  testOddReplies,
  testOldModels,
  testSpoiltStreams,
  testStatusErrors,
  testStreams,
  testUsage,
} from './client-tests.mjs';
import { testEditErrors, testEditLimits, testEditStreams, testEdits, testJsonEdits, testOldEdits } from './edit-tests.mjs';

const session = new Session(settings({ model: 'gpt-image-2', sizes: '1024x1024,1536x1024,816x816' }));

testEmptyBill(session);
testModels(session);
testGenerations(session, [null, 'b64_json', 'url']);
testOldModels(session);
testUsage(session);
testStreams(session);
testEdits(session);
testOldEdits(session);
testEditStreams(session);
testJsonEdits(session);
testEditLimits(session);
testEditErrors(session);
testSpoiltStreams(session);
testJobs(session);
testFailedJob(session);
testOddReplies(session);
testStatusErrors(session, { throughGateway: true });
testKeyErrors(session, { throughGateway: true });
testBrokenReplies(session);
testLinks(session, ['dall-e-2', 'gpt-image-2']);
testBill(session);
await run();
